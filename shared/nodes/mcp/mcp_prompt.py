"""Takes a prompt from an MCP server."""

from __future__ import annotations

import json

from shared.nodes.base import Call, Effect, Outputs, Port
from shared.nodes.mcp._server import CONNECTION, SERVER, SERVER_ERRORS


class McpPrompt(Effect):
    """Has a prompt written out."""

    category = "mcp"
    display_name = "MCP prompt"
    description = "Has an MCP server write out one of its prompts, as messages for a model."
    inputs = {
        "connection": CONNECTION,
        "prompt": Port("string", required=True, description="The prompt's name at the server."),
        "args": Port("object", description="Its arguments; what is no text is sent as JSON, for MCP knows only text."),
    }
    outputs = {
        "messages": Port(
            "array",
            description="`{role, content}`, as `llm_chat` takes them: `content` is text or a list of parts "
            "(`image_url`, `input_audio`, `file`). What has no such form is named in a text.",
        )
    }
    config_schema = {
        "type": "object",
        "properties": {"server": SERVER},
        "additionalProperties": False,
    }
    errors = SERVER_ERRORS
    example = {"config": {"server": "docs"}, "inputs": {"prompt": "summarise", "args": {"tone": "plain"}}}
    timeout_seconds = 60

    async def execute(self, call: Call) -> Outputs:
        """`messages`. Raises NodeError with one of `errors`."""
        from shared.mcp.results import messages
        from shared.nodes.mcp._opened import object_of, server, text_of  # the SDK loads with it

        name, args = text_of(call, "prompt"), object_of(call, "args")
        texts = {key: each if isinstance(each, str) else json.dumps(each) for key, each in args.items()}
        async with server(call) as opened:
            given = await opened.get_prompt(name, texts)
        return {"messages": messages(given)}
