"""What the chat types have in common: their ports, their errors, their checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.errors import Problem
from shared.nodes.ai._fields import CHAT_ERRORS, PROMPT_ERRORS, check_chat
from shared.nodes.base import Effect, Port

EXAMPLE: Final = {
    "system": "You sort support tickets.",
    "response_schema": {
        "type": "object",
        "properties": {"urgent": {"type": "boolean"}},
        "required": ["urgent"],
        "additionalProperties": False,
    },
}


class ModelChat(Effect):
    """One turn of a conversation with a provider's model."""

    category = "ai"
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
        "usage": Port(
            "object",
            description="Tokens: prompt_tokens, completion_tokens, total_tokens, model; and `finish_reason`: `length`, "
            "where the answer was cut off.",
        ),
    }
    errors = (*CHAT_ERRORS, *PROMPT_ERRORS)
    timeout_seconds = 300

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """Schemas must be schemas, and a tool that must be called must be there."""
        yield from check_chat(config)
