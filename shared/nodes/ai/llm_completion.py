"""Has a language model go on from a prompt."""

from __future__ import annotations

import asyncio

from shared.nodes._credentials import credential_field
from shared.nodes.ai._fields import CHAT_ERRORS, MAX_RETRIES, MAX_TOKENS, MODEL, SEED, STOP, SYSTEM, TEMPERATURE
from shared.nodes.base import Call, Effect, NodeError, Outputs, Port


class LlmCompletion(Effect):
    """One prompt, one completion, at any OpenAI-compatible endpoint."""

    category = "ai"
    display_name = "LLM completion"
    description = "Has a language model at an OpenAI-compatible endpoint go on from a prompt."
    inputs = {
        "prompt": Port("string", required=True, description="What the model goes on from."),
        "model": Port("string", description="The model; goes before the one in the config."),
    }
    outputs = {
        "completion": Port("string", description="The model's text."),
        "usage": Port(
            "object",
            description="Tokens: prompt_tokens, completion_tokens, total_tokens, model; and `finish_reason`: `length`, "
            "where the answer was cut off.",
        ),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "model": MODEL,
            "api": {
                "enum": ["chat", "completions"],
                "title": "API",
                "description": "`chat` asks the prompt as a user's message, which every endpoint knows. `completions` "
                "has the model write on from it, which base models and some local endpoints know.",
                "default": "chat",
            },
            "system": {**SYSTEM, "description": "What the model is told before the prompt; for `chat` only."},
            "temperature": TEMPERATURE,
            "max_tokens": MAX_TOKENS,
            "stop": STOP,
            "seed": SEED,
            "max_retries": MAX_RETRIES,
            "credential": credential_field(
                "openai", description="The endpoint and its key; without one, the platform's own."
            ),
        },
        "additionalProperties": False,
    }
    errors = CHAT_ERRORS
    example = {
        "config": {"model": "gpt-4o-mini", "max_tokens": 40},
        "inputs": {"prompt": "Write a headline about a late parcel."},
    }
    timeout_seconds = 300

    async def execute(self, call: Call) -> Outputs:
        """`{completion, usage}`. Raises NodeError with one of `errors`."""
        from shared.nodes.ai._completion import complete  # the SDK loads with it

        try:
            async with asyncio.timeout(call.timeout_seconds):
                return await complete(call)
        except TimeoutError:
            raise NodeError("Timeout", f"no answer within {call.timeout_seconds:g} seconds") from None
