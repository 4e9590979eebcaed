"""One of the tenant's MCP servers: is it there, and what has it?"""

from __future__ import annotations

from shared.nodes.base import Call, Effect, Outputs, Port
from shared.nodes.mcp._server import SERVER, SERVER_ERRORS


class McpServer(Effect):
    """Asks a server what it has."""

    category = "mcp"
    display_name = "MCP server"
    description = "Checks that an MCP server answers, and lists its tools, resources and prompts."
    inputs = {}
    outputs = {
        "connection": Port(
            "object",
            description="`{server, about, tools, resources, prompts}`, for the other MCP nodes; holds no secret.",
        )
    }
    config_schema = {
        "type": "object",
        "properties": {"server": {**SERVER, "description": "One of the tenant's MCP servers, by name."}},
        "required": ["server"],
        "additionalProperties": False,
    }
    errors = SERVER_ERRORS
    example = {"config": {"server": "crm"}, "inputs": {}}
    timeout_seconds = 60

    async def execute(self, call: Call) -> Outputs:
        """`connection`. Raises NodeError with one of `errors`."""
        from shared.nodes.mcp._opened import server  # the SDK loads with it

        async with server(call) as opened:
            connection = {
                "server": call.config["server"],
                "about": opened.about(),
                "tools": await opened.tools(),
                "resources": await opened.resources(),
                "prompts": await opened.prompts(),
            }
        return {"connection": connection}
