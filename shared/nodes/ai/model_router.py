"""Chooses the model that answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from shared.errors import Problem
from shared.nodes.ai._fields import CHAT_ERRORS, MAX_RETRIES, STRUCTURED, SYSTEM, check_chat
from shared.nodes.ai._several import MODEL_TIMEOUT, NAME, PRICES, RULES, SUITED, check_known, check_names, models_field
from shared.nodes.base import Call, Effect, NodeError, Outputs, Port


class ModelRouter(Effect):
    """Puts a prompt to the model that suits it, and to the next one when that fails."""

    category = "ai"
    display_name = "Model router"
    description = "Chooses a model by rules, by cost or by a classifier; when it fails, the next one answers."
    inputs = {
        "prompt": Port("string", required=True, description="What is asked."),
        "criteria": Port("object", description="For rules; `tags` (all are needed) and `max_cost` count always."),
    }
    outputs = {
        "model": Port("string", description="The name of the model that answered."),
        "response": Port("string", description="Its answer."),
        "json": Port("any", description="The answer's value, where a schema is given; else null."),
        "reason": Port("string", description="Why this model."),
        "usage": Port("object", description="Tokens of all models that were asked, by model too, and their cost."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "models": models_field(
                "The models, in the order in which they are tried when nothing else decides.",
                1,
                **SUITED,
                **PRICES,
            ),
            "strategy": {
                "enum": ["rules", "cheapest", "classifier"],
                "title": "Choose by",
                "description": "The first rule that holds; the lowest cost by the table's prices; or a model.",
                "default": "rules",
            },
            "rules": RULES,
            "classifier": {
                "type": "string",
                "pattern": NAME,
                "title": "Classifier",
                "description": "The model of the table that chooses.",
            },
            "fall_over": {
                "type": "boolean",
                "title": "Fall over",
                "description": "Whether the next model is asked when one fails, for whatever reason.",
                "default": True,
            },
            "fall_over_on_refusal": {
                "type": "boolean",
                "title": "Also when it refuses",
                "description": "Whether the next model is asked when one will not answer.",
                "default": False,
            },
            "system": SYSTEM,
            "model_timeout_seconds": MODEL_TIMEOUT,
            **STRUCTURED,
            "max_retries": {**MAX_RETRIES, "description": "Further attempts with one model.", "default": 1},
        },
        "required": ["models"],
        "additionalProperties": False,
    }
    errors = (*CHAT_ERRORS, "NoModelFits", "AllModelsFailed", "ExpressionError")
    example = {
        "config": {
            "models": [
                {"name": "small", "model": "gpt-4o-mini", "context_window": 128_000},
                {"name": "large", "provider": "anthropic", "model": "claude-sonnet-4-5", "credential": "anthropic"},
            ],
            "rules": [{"when": "tokens > 2000 or criteria.hard", "model": "large", "because": "it is hard"}],
        },
        "inputs": {"prompt": "Summarise this contract.", "criteria": {"hard": True}},
    }
    timeout_seconds = 300

    @classmethod
    def scope_names(cls) -> frozenset[str]:
        """What rules are about."""
        return frozenset({"prompt", "criteria", "tokens"})

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """Models have names of their own; rules and the classifier name one of them."""
        yield from check_names(config)
        yield from check_chat(config)
        for i, rule in enumerate(config.get("rules", ())):
            yield from check_known(config, rule["model"], f"config.rules.{i}.model")
        yield from check_known(config, config.get("classifier"), "config.classifier")
        if config.get("strategy") == "classifier" and not config.get("classifier"):
            yield Problem("invalid_config", "name the model that chooses", "config.classifier")

    async def execute(self, call: Call) -> Outputs:
        """`{model, response, json, reason, usage}`. Raises NodeError with one of `errors`."""
        from shared.nodes.ai._router import route  # the SDKs load with it

        try:
            async with asyncio.timeout(call.timeout_seconds + 1):  # each model's share ends before that
                return await route(call)
        except TimeoutError:
            raise NodeError("Timeout", f"no answer within {call.timeout_seconds:g} seconds") from None
