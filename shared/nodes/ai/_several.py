"""What the types that know several models share: the table of models in their config, and asking one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.errors import Problem
from shared.nodes._credentials import credential_field
from shared.nodes.ai._fields import MAX_TOKENS, TEMPERATURE

NAME: Final = "^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,99}$"
MODEL_TIMEOUT: Final = {
    "type": "number",
    "exclusiveMinimum": 0,
    "maximum": 900,
    "title": "Time for one model (seconds)",
    "description": "After that a model counts as failed.",
    "default": 60,
}

PRICES: Final[Mapping[str, Mapping[str, Any]]] = {
    name: {"type": "number", "minimum": 0, "title": title, "description": "For a million tokens."}
    for name, title in (("input_price", "Price of what is asked"), ("output_price", "Price of what is answered"))
}
# What a choice goes by.
SUITED: Final[Mapping[str, Mapping[str, Any]]] = {
    "description": {
        "type": "string",
        "maxLength": 2_000,
        "title": "Good at",
        "description": "Read by a classifier.",
    },
    "tags": {"type": "array", "items": {"type": "string"}, "title": "Tags", "description": "For `criteria.tags`."},
    "context_window": {"type": "integer", "minimum": 1, "title": "Room", "description": "Tokens that it takes."},
}

RULES: Final[Mapping[str, Any]] = {
    "type": "array",
    "maxItems": 50,
    "items": {
        "type": "object",
        "properties": {
            "when": {"type": "string", "minLength": 1, "maxLength": 10_000, "x-expression": True},
            "model": {"type": "string", "pattern": NAME},
            "because": {"type": "string", "maxLength": 500},
        },
        "required": ["when", "model"],
        "additionalProperties": False,
    },
    "title": "Rules",
    "description": "`{when, model, because}`: a JSONata expression over `prompt`, `criteria` and `tokens` "
    "(about how many the request has), and the model for it.",
    "default": [],
}


def models_field(about: str, least: int, /, **own: Mapping[str, Any]) -> dict[str, Any]:
    """The config field with the table of models."""
    entry = {
        "name": {
            "type": "string",
            "pattern": NAME,
            "title": "Name",
            "description": "What this node calls the model. Not given: the model's own name.",
        },
        "provider": {
            "enum": ["openai", "anthropic", "bedrock"],
            "title": "Provider",
            "description": "`openai` is any OpenAI-compatible endpoint.",
            "default": "openai",
        },
        "model": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "title": "Model",
            "description": "Its name at the provider.",
        },
        "credential": credential_field(
            "openai", "anthropic", "aws", description="The provider's; without one, the platform's own endpoint."
        ),
        "temperature": TEMPERATURE,
        "max_tokens": MAX_TOKENS,
        **own,
    }
    return {
        "type": "array",
        "minItems": least,
        "maxItems": 20,
        "items": {"type": "object", "properties": entry, "required": ["model"], "additionalProperties": False},
        "title": "Models",
        "description": about,
    }


def name_of(entry: Mapping[str, Any]) -> str:
    """What the node calls a model."""
    return str(entry.get("name") or entry["model"])


def check_names(config: Mapping[str, Any]) -> Iterator[Problem]:
    """No two models have one name; Anthropic's need a credential."""
    seen: set[str] = set()
    for i, entry in enumerate(config["models"]):
        name = name_of(entry)
        if name in seen:
            yield Problem("invalid_config", f"two models are named {name!r}", f"config.models.{i}.name")
        seen.add(name)
        if entry.get("provider") == "anthropic" and not entry.get("credential"):
            message = f"the model {name!r} needs a credential of the kind anthropic"
            yield Problem("invalid_config", message, f"config.models.{i}.credential")


def check_known(config: Mapping[str, Any], name: Any, path: str) -> Iterator[Problem]:
    """A model that is named is in the table."""
    if name is not None and name not in {name_of(entry) for entry in config["models"]}:
        yield Problem("invalid_config", f"there is no model {name!r} in the table", path)
