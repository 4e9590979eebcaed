"""What an agent's config is made of, and how it can fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.mcp.errors import SESSION_ERRORS
from shared.nodes._credentials import CREDENTIAL_ERRORS, credential_field
from shared.nodes.ai._fields import KINDS, MODEL_ERRORS
from shared.nodes.human import _people

_YEAR: Final = 365 * 86_400
_NAME: Final = "^[a-z][a-z0-9_]{0,63}$"  # of a tenant's named things

PROVIDERS: Final = ("threads", "redis", "libsql", "process")
_NOT_REACHED: Final = ("BlockedAddress", "DnsError", "Timeout")
_MEMORY_ERRORS: Final = ("AuthenticationFailed", "ConnectionFailed", "QueryFailed", *_NOT_REACHED)
_FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "agent": {
        "type": "string",
        "pattern": _NAME,
        "title": "Stored agent",
        "description": "One of the tenant's agents, by name. What is given here goes before what it says.",
    },
    "provider": {
        "enum": ["openai", "anthropic", "bedrock"],
        "title": "Provider",
        "description": "Whose interface the model has. Not given: the stored agent's, else openai.",
    },
    "model": {
        "type": "string",
        "maxLength": 200,
        "x-template": True,
        "title": "Model",
        "description": "The model's name at the provider.",
        "default": "",
    },
    "credential": credential_field(
        *KINDS.values(), description="One of the tenant's credentials, by name. Not given: the platform's endpoint."
    ),
    "parameters": {
        "type": "object",
        "title": "Model parameters",
        "description": "Further settings of `llm_chat`, such as `temperature` and `max_tokens`.",
        "properties": {
            "temperature": {
                "type": "number",
                "minimum": 0,
                "maximum": 2,
                "title": "Temperature",
                "description": "How freely the model chooses its words.",
            },
            "max_tokens": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1_000_000,
                "title": "Longest message (tokens)",
                "description": "Where one message of the model is cut off.",
            },
            "seed": {
                "type": "integer",
                "title": "Seed",
                "description": "The same seed makes the same answer likelier, where the endpoint knows seeds.",
            },
        },
        "additionalProperties": False,
    },
    "instructions": {
        "type": "string",
        "maxLength": 100_000,
        "x-template": True,
        "title": "Instructions",
        "description": "What the agent is told before the conversation.",
        "default": "",
    },
    "tools": {
        "type": "array",
        "items": {"type": "string", "pattern": _NAME},
        "maxItems": 128,
        "title": "Tools",
        "description": "Names of the tenant's tools and of built-in ones. Not given: the stored agent's.",
    },
    "mcp_servers": {
        "type": "array",
        "items": {"type": "string", "pattern": _NAME},
        "maxItems": 20,
        "title": "MCP servers",
        "description": "Names of the tenant's MCP servers, all of whose tools it may use.",
    },
    "max_steps": {
        "type": "integer",
        "minimum": 1,
        "maximum": 100,
        "title": "Steps at most",
        "description": "How often the model is asked. Not given: the stored agent's limit, else 10.",
    },
    "token_budget": {
        "type": "integer",
        "minimum": 1,
        "maximum": 100_000_000,
        "title": "Token budget",
        "description": "After so many tokens the model is not asked again. Not given: the stored agent's, else none.",
    },
    "on_limit": {
        "enum": ["fail", "answer"],
        "title": "At a limit",
        "description": "`fail`: with MaxSteps or BudgetExceeded. `answer`: what the model said last is the answer.",
        "default": "fail",
    },
    "max_parallel": {
        "type": "integer",
        "minimum": 1,
        "maximum": 20,
        "title": "Tools at once",
        "description": "How many tools are called at the same time, if the model wants several.",
        "default": 5,
    },
    "on_tool_error": {
        "enum": ["tell", "fail"],
        "title": "When a tool fails",
        "description": "`tell`: the model is told, and goes on. `fail`: the agent fails with ToolFailed.",
        "default": "tell",
    },
    "max_result_characters": {
        "type": "integer",
        "minimum": 100,
        "maximum": 1_000_000,
        "title": "Longest result",
        "description": "Characters of a tool's result that the model is shown.",
        "default": 20_000,
    },
    "approval": {
        "enum": ["when_asked", "always", "never"],
        "title": "A person's consent",
        "description": "`when_asked`: for tools that want it. `always`: for every call. `never`: tools that want it "
        "are not offered to the model, and the agent never waits.",
        "default": "when_asked",
    },
    "assignees": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 320},
        "maxItems": 100,
        "x-template": True,
        "title": "Who is asked",
        "description": "User ids, e-mail addresses or user types. Nobody named: whoever may answer tasks.",
        "default": [],
    },
    "approval_instructions": {
        "type": "string",
        "maxLength": 10_000,
        "title": "What they are told",
        "description": "The instructions of the task. The tool and its arguments are shown beside.",
        "default": "An agent wants to call this tool with these arguments. If you reject, it is told so.",
    },
    "approval_timeout_seconds": {
        "type": "integer",
        "minimum": 1,
        "maximum": _YEAR,
        "title": "Time to answer (seconds)",
        "description": "At most a year.",
        "default": 7 * 86_400,
    },
    "on_approval_timeout": {
        "enum": ["reject", "approve", "fail"],
        "title": "When nobody answers",
        "description": "`fail`: the agent fails with Timeout.",
        "default": "reject",
    },
    "approval_task": {
        "type": "object",
        "properties": _people.FIXED,
        "additionalProperties": False,
        "title": "More about the question",
        "description": "As of a human task: escalation, quorum, no self-approval, mails.",
    },
    "output_schema": {
        "type": ["object", "null"],
        "title": "Answer's schema",
        "description": "JSON Schema that the answer fits, or the agent fails with InvalidResponse.",
        "default": None,
    },
    "repair_attempts": {
        "type": "integer",
        "minimum": 0,
        "maximum": 5,
        "title": "Repair attempts",
        "description": "How often the model is shown what does not fit the schema and asked again.",
        "default": 2,
    },
    "memory": {
        "type": "object",
        "title": "Memory",
        "description": "What of the thread it is told, where the input `thread_id` names one.",
        "properties": {
            "enabled": {
                "type": "boolean",
                "title": "Remember",
                "description": "Not given: as the stored agent says; without one, yes.",
            },
            "max_messages": {
                "type": "integer",
                "minimum": 0,
                "maximum": 1_000,
                "title": "Messages at most",
                "description": "The last ones. Not given: the stored agent's number, else 50.",
            },
            "max_tokens": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1_000_000,
                "title": "Tokens at most",
                "description": "About: four characters are taken for a token.",
                "default": 8_000,
            },
            "provider": {
                "enum": list(PROVIDERS),
                "title": "Where",
                "description": "`threads`: the tenant's own, in /threads. `redis`, `libsql`: a server of the tenant's. "
                "`process`: only while the process lives, for tests. Not given: as the stored agent says, else "
                "`threads`.",
            },
            "credential": credential_field("redis", "libsql", description="The server's, where one is named above."),
        },
        "default": {},
        "additionalProperties": False,
    },
}
CONFIG: Final[Mapping[str, Any]] = {"type": "object", "properties": _FIELDS, "additionalProperties": False}
DEFAULTS: Final[Mapping[str, Any]] = {name: f["default"] for name, f in _FIELDS.items() if "default" in f}
_OWN: Final = ("AgentNotFound", "ToolNotFound", "ServerNotFound", "MaxSteps", "BudgetExceeded", "ToolFailed")
ERRORS: Final = tuple(dict.fromkeys((*_OWN, *_MEMORY_ERRORS, *MODEL_ERRORS, *CREDENTIAL_ERRORS, *SESSION_ERRORS)))
