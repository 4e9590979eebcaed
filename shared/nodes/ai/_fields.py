"""Config fields that the types around models share, and the check of what a schema cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.errors import Problem
from shared.nodes._credentials import CREDENTIAL_ERRORS
from shared.nodes.json_schemas import schema_problems

# The kind of credential that each provider takes; `openai` and `bedrock` can do without one.
KINDS: Final[Mapping[str, str]] = {"openai": "openai", "anthropic": "anthropic", "bedrock": "aws"}
# What asking a model may come to; CHAT_ERRORS: with one of the tenant's credentials.
MODEL_ERRORS: Final = (
    "RateLimited",
    "AuthenticationFailed",
    "ModelNotFound",
    "ContextLengthExceeded",
    "Refused",
    "InvalidResponse",
    "ResponseTooLarge",
    "InvalidInput",
    "ModelError",
    "ConnectionFailed",
    "BlockedAddress",
    "DnsError",
    "NotConfigured",
    "Timeout",
)
CHAT_ERRORS: Final = (*MODEL_ERRORS, *CREDENTIAL_ERRORS)
MODEL: Final = {
    "type": "string",
    "maxLength": 200,
    "x-template": True,
    "title": "Model",
    "description": "The model's name at the endpoint.",
    "default": "",
}
SYSTEM: Final = {
    "type": "string",
    "maxLength": 100_000,
    "x-template": True,
    "title": "System message",
    "description": "What the model is told before the conversation.",
    "default": "",
}
TEMPERATURE: Final = {
    "type": "number",
    "minimum": 0,
    "maximum": 2,
    "title": "Temperature",
    "description": "How freely the model chooses its words. Not given: the endpoint's own default.",
}
MAX_TOKENS: Final = {
    "type": "integer",
    "minimum": 1,
    "maximum": 1_000_000,
    "title": "Longest answer (tokens)",
    "description": "Where the answer is cut off. Not given: the endpoint's own limit.",
}
STOP: Final = {
    "type": "array",
    "items": {"type": "string", "minLength": 1},
    "maxItems": 4,
    "title": "Stop at",
    "description": "Texts that end the answer.",
}
SEED: Final = {
    "type": "integer",
    "title": "Seed",
    "description": "The same seed makes the same answer likelier, where the endpoint knows seeds.",
}
MAX_RETRIES: Final = {
    "type": "integer",
    "minimum": 0,
    "maximum": 10,
    "title": "Retries",
    "description": "Further attempts after 429, 5xx and lost connections, as late as was asked for.",
    "default": 3,
}
TOOLS: Final = {
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
}
STRUCTURED: Final = {
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
}
PROMPT: Final[Mapping[str, Mapping[str, Any]]] = {
    "prompt": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,63}$",
        "title": "Stored prompt",
        "description": "One of the tenant's prompts, by name. It is asked after the messages, which may be [].",
    },
    "prompt_version": {
        "type": "integer",
        "minimum": 1,
        "maximum": 1_000_000,
        "title": "Prompt's version",
        "description": "Which version of the prompt. Not given: the newest there is when the node runs.",
    },
    "variables": {
        "type": "object",
        "x-template": True,
        "title": "Prompt's variables",
        "description": "Values for the variables of the stored prompt, by name.",
    },
}
PROMPT_ERRORS: Final = ("PromptNotFound",)


def chat_schema(required: tuple[str, ...] = (), **own: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a chat type: the shared fields, with its own ones added or put in their place."""
    shared = {
        "model": MODEL,
        "system": SYSTEM,
        "temperature": TEMPERATURE,
        "max_tokens": MAX_TOKENS,
        "stop": STOP,
        **TOOLS,
        **STRUCTURED,
        **PROMPT,
        "max_retries": MAX_RETRIES,
    }
    closed = {"type": "object", "properties": {**shared, **own}, "additionalProperties": False}
    return {**closed, "required": list(required)} if required else closed


def check_chat(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Schemas must be schemas, and a tool that must be called must be there."""
    if config.get("response_schema") is not None:
        yield from schema_problems(config["response_schema"], "config.response_schema")
    functions = [tool.get("function", tool) for tool in config.get("tools", [])]
    for i, function in enumerate(functions):
        if "parameters" in function:
            yield from schema_problems(function["parameters"], f"config.tools.{i}.parameters")
    choice = config.get("tool_choice")
    if choice not in (None, "auto", "none", "required", *(f["name"] for f in functions)):
        yield Problem("invalid_config", f"there is no tool {choice!r} to choose", "config.tool_choice")
