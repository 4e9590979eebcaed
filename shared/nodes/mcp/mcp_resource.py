"""Reads a resource of an MCP server."""

from __future__ import annotations

from shared.nodes.base import Call, Effect, Outputs, Port
from shared.nodes.mcp._server import CONNECTION, SERVER, SERVER_ERRORS


class McpResource(Effect):
    """Reads one resource."""

    category = "mcp"
    display_name = "MCP resource"
    description = "Reads a resource that an MCP server has, such as a document or a table's schema."
    inputs = {
        "connection": CONNECTION,
        "resource": Port("string", required=True, description="The resource's address, such as file:///notes.txt."),
    }
    outputs = {
        "content": Port("any", description="Its text, or `{base64, mime_type}`; a list where it has several parts.")
    }
    config_schema = {
        "type": "object",
        "properties": {"server": SERVER},
        "additionalProperties": False,
    }
    errors = SERVER_ERRORS
    example = {"config": {"server": "docs"}, "inputs": {"resource": "docs://handbook/refunds"}}
    timeout_seconds = 60

    async def execute(self, call: Call) -> Outputs:
        """`content`. Raises NodeError with one of `errors`."""
        from shared.mcp.results import contents
        from shared.nodes.mcp._opened import server, text_of  # the SDK loads with it

        address = text_of(call, "resource")
        async with server(call) as opened:
            given = await opened.read_resource(address)
        return {"content": contents(given)}
