"""The names of what the catalogue and the calls of tools fail of, for declarations: loads nothing."""

from __future__ import annotations

from typing import Final

from shared.mcp.errors import SESSION_ERRORS
from shared.nodes._credentials import HTTP_CREDENTIAL_ERRORS

TOOL_ERRORS: Final = (
    *SESSION_ERRORS,
    *HTTP_CREDENTIAL_ERRORS,
    "ServerNotFound",
    "InvalidInput",
    "ExpressionError",
    "TooManyRedirects",
    "WorkflowNotFound",
    "NotPublished",
    "NotShort",
    "TooDeep",
    "FileNotFound",
    "TooLarge",
)
