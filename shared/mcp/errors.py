"""The names of what sessions with MCP servers fail of, for declarations: loads nothing."""

from __future__ import annotations

from typing import Final

SESSION_ERRORS: Final[tuple[str, ...]] = (
    "BlockedAddress",
    "DnsError",
    "ConnectionFailed",
    "AuthenticationFailed",
    "HttpError",
    "InvalidResponse",
    "ResponseTooLarge",
    "ServerError",
    "NotSupported",
    "NotAllowed",
    "InvalidArguments",
    "ToolNotFound",
    "ToolFailed",
    "Timeout",
)
