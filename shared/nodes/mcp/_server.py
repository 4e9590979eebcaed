"""What the declarations of the MCP nodes have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.mcp.errors import SESSION_ERRORS
from shared.nodes._credentials import CREDENTIAL_ERRORS
from shared.nodes.base import Port

SERVER_ERRORS: Final = (*SESSION_ERRORS, *CREDENTIAL_ERRORS, "ServerNotFound", "InvalidInput")
CONNECTION: Final = Port("object", description="From an `mcp_server` node: the server it names.")
SERVER: Final[Mapping[str, Any]] = {
    "type": "string",
    "pattern": "^[a-z][a-z0-9_]{0,63}$",
    "title": "Server",
    "description": "One of the tenant's MCP servers, by name. Not needed where `connection` is connected.",
}
