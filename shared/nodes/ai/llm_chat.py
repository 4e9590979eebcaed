"""Asks a language model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from shared.errors import Problem
from shared.nodes.base import Call, Effect, NodeError, Outputs, Port
from shared.nodes.json_schemas import schema_problems


class LlmChat(Effect):
    """One turn of a conversation with any OpenAI-compatible endpoint."""

    category = "ai"
    display_name = "LLM chat"
    description = "Asks a language model at an OpenAI-compatible endpoint; the answer can be made to fit a schema."
    inputs = {
        "messages": Port("array", required=True, description="The conversation; plain text is one user message."),
        "system": Port("string", description="What the model is told first; goes before the one in the config."),
        "model": Port("string", description="The model; goes before the one in the config."),
    }
    outputs = {
        "response": Port("string", description="The answer's text."),
        "message": Port("object", description="The whole answer, as a message to go on from."),
        "json": Port("any", description="The answer's value, where a schema is given; else null."),
        "tool_calls": Port("array", description="Calls the model asks for: `{id, name, arguments}`."),
        "usage": Port("object", description="Tokens: prompt_tokens, completion_tokens, total_tokens, model."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "model": {
                "type": "string",
                "maxLength": 200,
                "x-template": True,
                "title": "Model",
                "description": "The model's name at the endpoint.",
                "default": "",
            },
            "system": {
                "type": "string",
                "maxLength": 100_000,
                "x-template": True,
                "title": "System message",
                "description": "What the model is told before the conversation.",
                "default": "",
            },
            "temperature": {
                "type": "number",
                "minimum": 0,
                "maximum": 2,
                "title": "Temperature",
                "description": "How freely the model chooses its words. Not given: the endpoint's own default.",
            },
            "max_tokens": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1_000_000,
                "title": "Longest answer (tokens)",
                "description": "Where the answer is cut off. Not given: the endpoint's own limit.",
            },
            "stop": {
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "maxItems": 4,
                "title": "Stop at",
                "description": "Texts that end the answer.",
            },
            "seed": {
                "type": "integer",
                "title": "Seed",
                "description": "The same seed makes the same answer likelier, where the endpoint knows seeds.",
            },
            "tools": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
                        "description": {"type": "string"},
                        "parameters": {"type": "object"},
                        "type": {"const": "function"},
                        "function": {"type": "object", "required": ["name"]},
                    },
                    "anyOf": [{"required": ["name"]}, {"required": ["function"]}],
                    "additionalProperties": False,
                },
                "maxItems": 128,
                "title": "Tools",
                "description": "What the model may ask to have called: `{name, description, parameters}`, where "
                "`parameters` is a JSON Schema; or the same in OpenAI's own form.",
            },
            "tool_choice": {
                "type": "string",
                "pattern": "^[A-Za-z0-9_-]{1,64}$",
                "title": "Tool choice",
                "description": "`auto`, `none`, `required`, or the name of the tool it must call.",
            },
            "response_schema": {
                "type": ["object", "null"],
                "title": "Answer's schema",
                "description": "JSON Schema that the answer fits, or the node fails.",
                "default": None,
            },
            "structured_output": {
                "enum": ["auto", "native", "instruction"],
                "title": "How the schema is asked for",
                "description": "`native`: by the endpoint's JSON Schema mode. `instruction`: in words. `auto`: the "
                "first, and the second where the endpoint does not take it.",
                "default": "auto",
            },
            "repair_attempts": {
                "type": "integer",
                "minimum": 0,
                "maximum": 5,
                "title": "Repair attempts",
                "description": "How often the model is shown what does not fit the schema and asked again.",
                "default": 2,
            },
            "max_retries": {
                "type": "integer",
                "minimum": 0,
                "maximum": 10,
                "title": "Retries",
                "description": "Further attempts after 429, 5xx and lost connections, as late as was asked for.",
                "default": 3,
            },
        },
        "additionalProperties": False,
    }
    errors = (
        "RateLimited",
        "AuthenticationFailed",
        "ModelNotFound",
        "ContextLengthExceeded",
        "Refused",
        "InvalidResponse",
        "InvalidInput",
        "ModelError",
        "ConnectionFailed",
        "NotConfigured",
        "Timeout",
    )
    example = {
        "config": {
            "model": "gpt-4o-mini",
            "system": "You sort support tickets.",
            "response_schema": {
                "type": "object",
                "properties": {"urgent": {"type": "boolean"}},
                "required": ["urgent"],
                "additionalProperties": False,
            },
        },
        "inputs": {"messages": "My order never came and I want my money back."},
    }
    timeout_seconds = 300

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """Schemas must be schemas, and a tool that must be called must be there."""
        if config.get("response_schema") is not None:
            yield from schema_problems(config["response_schema"], "config.response_schema")
        tools = config.get("tools", [])
        functions = [tool.get("function", tool) for tool in tools]
        for i, function in enumerate(functions):
            if "parameters" in function:
                yield from schema_problems(function["parameters"], f"config.tools.{i}.parameters")
        choice = config.get("tool_choice")
        if choice not in (None, "auto", "none", "required", *(f["name"] for f in functions)):
            message = f"there is no tool {choice!r} to choose"
            yield Problem("invalid_config", message, "config.tool_choice")

    async def execute(self, call: Call) -> Outputs:
        """The answer, on all ports. Raises NodeError with one of `errors`."""
        from shared.nodes.ai._chat import chat  # the openai SDK loads with it

        try:
            async with asyncio.timeout(call.timeout_seconds):
                return await chat(call)
        except TimeoutError:
            raise NodeError("Timeout", f"no answer within {call.timeout_seconds:g} seconds") from None
