"""A model picks the tool and fills in its arguments."""

from __future__ import annotations

import asyncio

from shared.nodes._credentials import credential_field
from shared.nodes.ai._fields import MAX_RETRIES, MODEL_ERRORS
from shared.nodes.base import Call, Effect, NodeError, Outputs, Port
from shared.tools.errors import TOOL_ERRORS

_NAMES = {"type": "array", "items": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$"}, "default": []}


class ToolRouter(Effect):
    """From a request in words to a call of one tool."""

    category = "tools"
    keeps = True  # as function_call
    display_name = "Tool router"
    description = "Has a model pick one of several tools for a request, fill in its arguments, and calls it."
    inputs = {
        "query": Port("string", required=True, description="What is wanted, in words."),
        "tools": Port(
            "array",
            description="The tools to choose from: names, or `{name, description, parameters}`, which are chosen only. "
            "Goes before the tools in the config.",
        ),
    }
    outputs = {
        "tool": Port("string", description="The tool that was picked."),
        "args": Port("object", description="Its arguments; they fit its schema."),
        "result": Port("any", description="What it gave; null where it was not called."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "tools": {
                **_NAMES,
                "maxItems": 128,
                "title": "Tools",
                "description": "Names of the tenant's tools and of built-in ones.",
            },
            "mcp_servers": {
                **_NAMES,
                "maxItems": 20,
                "title": "MCP servers",
                "description": "Servers whose tools are to choose from as well.",
            },
            "execute": {
                "type": "boolean",
                "title": "Call it",
                "description": "Whether the tool is called. One that asks a person first never is.",
                "default": True,
            },
            "provider": {
                "enum": ["openai", "anthropic", "bedrock"],
                "title": "Provider",
                "description": "Whose interface the model has; `openai` is every compatible endpoint.",
                "default": "openai",
            },
            "model": {
                "type": "string",
                "minLength": 1,
                "maxLength": 200,
                "x-template": True,
                "title": "Model",
                "description": "The model's name at the provider. It has to know tools.",
            },
            "credential": credential_field("openai", "anthropic", "aws"),
            "instructions": {
                "type": "string",
                "maxLength": 20_000,
                "x-template": True,
                "title": "Instructions",
                "description": "What the model is told beside the request, such as which tool is for what.",
                "default": "",
            },
            "repair_attempts": {
                "type": "integer",
                "minimum": 0,
                "maximum": 5,
                "title": "Repair attempts",
                "description": "How often the model is told what was wrong with its choice, and asked again.",
                "default": 2,
            },
            "max_retries": MAX_RETRIES,
        },
        "required": ["model"],
        "additionalProperties": False,
    }
    errors = tuple(dict.fromkeys((*TOOL_ERRORS, *MODEL_ERRORS, "NoTool")))
    example = {
        "config": {"model": "gpt-4o-mini", "tools": ["calculate", "current_time"]},
        "inputs": {"query": "What is 12 % of 4,300?"},
    }
    timeout_seconds = 300

    async def execute(self, call: Call) -> Outputs:
        """`tool`, `args`, `result`. Raises NodeError with one of `errors`."""
        from shared.nodes.tools._route import route  # the SDKs load with it

        try:
            async with asyncio.timeout(call.timeout_seconds):
                return await route(call)
        except TimeoutError:
            raise NodeError("Timeout", f"no result within {call.timeout_seconds:g} seconds") from None
