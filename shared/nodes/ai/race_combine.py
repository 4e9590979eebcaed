"""Asks several models at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from shared.errors import Problem
from shared.nodes.ai._fields import CHAT_ERRORS, MAX_RETRIES, SYSTEM
from shared.nodes.ai._several import MODEL_TIMEOUT, NAME, PRICES, check_known, check_names, models_field
from shared.nodes.base import Call, Effect, NodeError, Outputs, Port


class RaceCombine(Effect):
    """The same conversation for several models: the first answer, all of them, or one made of all."""

    category = "ai"
    display_name = "Race and combine"
    description = "Asks several models at once: takes the first answer, all of them, or has a model combine them."
    inputs = {
        "messages": Port("array", required=True, description="The conversation; plain text is one user message."),
        "system": Port("string", description="What the models are told first; goes before the one in the config."),
    }
    outputs = {
        "responses": Port(
            "array",
            description="For each model, in their order: `{model, response, json, error, usage, milliseconds}`; "
            "`error` is null or `{error, message}`.",
        ),
        "combined": Port("string", description="The first answer, or the combined one; null where all are wanted."),
        "usage": Port(
            "object",
            description="Tokens of all models, by model too, and their cost where the table has prices. `cancelled` "
            "names those that were stopped: what their provider charges for that is not known here.",
        ),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "models": models_field("The models that are asked.", 2, **PRICES),
            "mode": {
                "enum": ["first", "all", "combined"],
                "title": "What comes of it",
                "description": "The first answer (the others are stopped), all answers, or one made of all by a model.",
                "default": "first",
            },
            "combiner": {
                "type": "string",
                "pattern": NAME,
                "title": "Combining model",
                "description": "One of the models, by name. Not given: the first.",
            },
            "instruction": {
                "type": "string",
                "maxLength": 20_000,
                "x-template": True,
                "title": "How to combine",
                "description": "What the combining model is told. Not given: keep what is agreed on, settle the rest.",
                "default": "",
            },
            "at_least": {
                "type": "integer",
                "minimum": 1,
                "maximum": 20,
                "title": "Answers needed",
                "description": "The node fails when fewer models answer; not for the mode `first`.",
                "default": 1,
            },
            "system": SYSTEM,
            "model_timeout_seconds": MODEL_TIMEOUT,
            "max_retries": {**MAX_RETRIES, "description": "Further attempts with one model.", "default": 1},
        },
        "required": ["models"],
        "additionalProperties": False,
    }
    errors = (*CHAT_ERRORS, "AllModelsFailed")
    example = {
        "config": {
            "models": [
                {"name": "one", "model": "gpt-4o-mini"},
                {"name": "two", "provider": "anthropic", "model": "claude-haiku-4-5", "credential": "anthropic"},
            ],
            "mode": "combined",
            "combiner": "two",
        },
        "inputs": {"messages": "Name three risks of this plan."},
    }
    timeout_seconds = 300

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """Models have names of their own; the one that combines is one of them."""
        yield from check_names(config)
        yield from check_known(config, config.get("combiner"), "config.combiner")
        if config.get("at_least", 1) > len(config["models"]):
            yield Problem("invalid_config", "there are fewer models than answers needed", "config.at_least")

    async def execute(self, call: Call) -> Outputs:
        """`{responses, combined, usage}`. Raises NodeError with one of `errors`."""
        from shared.nodes.ai._race import race  # the SDKs load with it

        try:
            async with asyncio.timeout(call.timeout_seconds + 1):  # each model's share ends before that
                return await race(call)
        except TimeoutError:
            raise NodeError("Timeout", f"no answer within {call.timeout_seconds:g} seconds") from None
