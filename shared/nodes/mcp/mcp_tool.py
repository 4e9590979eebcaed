"""Calls a tool of an MCP server."""

from __future__ import annotations

from shared.nodes.base import Call, Effect, Outputs, Port
from shared.nodes.mcp._server import CONNECTION, SERVER, SERVER_ERRORS


class McpTool(Effect):
    """One call of one tool."""

    category = "mcp"
    display_name = "MCP tool"
    description = "Calls a tool of an MCP server, with arguments that fit the tool's schema."
    inputs = {
        "connection": CONNECTION,
        "args": Port("object", description="The tool's arguments, held against its schema first."),
    }
    outputs = {
        "result": Port("any", description="The structured result; where there is none, the text, or `content`."),
        "content": Port("array", description="All that the tool gave, as MCP writes it: `{type, text}`, …"),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "server": SERVER,
            "tool": {
                "type": "string",
                "minLength": 1,
                "maxLength": 200,
                "x-template": True,
                "title": "Tool",
                "description": "The tool's name at the server.",
            },
        },
        "required": ["tool"],
        "additionalProperties": False,
    }
    errors = SERVER_ERRORS
    example = {"config": {"server": "crm", "tool": "find_customer"}, "inputs": {"args": {"email": "ada@example.com"}}}
    timeout_seconds = 120

    async def execute(self, call: Call) -> Outputs:
        """`result`, `content`. Raises NodeError with one of `errors`."""
        from shared.mcp.results import content, plain
        from shared.nodes.mcp._opened import object_of, server  # the SDK loads with it

        args = object_of(call, "args")
        async with server(call) as opened:
            given = await opened.call_tool(str(call.config["tool"]), args)
        return {"result": plain(given), "content": content(given.content)}
