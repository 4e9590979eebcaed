"""Answers that fit a schema: how they are asked for, read and sent back for repair."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

_FENCED: Final = re.compile(r"```[a-zA-Z0-9]*[ \t]*\n(.*?)```", re.DOTALL)
_START: Final = re.compile(r"[\[{]")


def instruction(schema: Mapping[str, Any]) -> str:
    """The schema in words, for the system message."""
    return "Answer with one JSON value that fits this JSON Schema, and with nothing else:\n" + json.dumps(schema)


def response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema for an endpoint's own JSON Schema mode."""
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": dict(schema), "strict": _fits_strict_mode(schema)},
    }


def complaint(faults: list[str]) -> str:
    """What the model is told about an answer that does not fit."""
    listed = "\n".join(f"- {fault}" for fault in faults)
    return f"That does not fit the JSON Schema:\n{listed}\nAnswer again with the corrected JSON only."


def read(text: str) -> Any:
    """The JSON value in a model's answer: the whole of it, in a code fence, or amid prose. Raises ValueError."""
    candidates = [text, *_FENCED.findall(text)]
    for candidate in candidates:
        try:
            return json.loads(candidate, parse_constant=_refuse)
        except (ValueError, RecursionError):
            continue
    decoder = json.JSONDecoder(parse_constant=_refuse)
    for start in list(_START.finditer(text))[:50]:
        try:
            return decoder.raw_decode(text, start.start())[0]
        except (ValueError, RecursionError):
            continue
    raise ValueError("there is no JSON in it")


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _fits_strict_mode(schema: Any) -> bool:
    """Whether every object names all its fields and allows no others, which is what OpenAI's strict mode demands."""
    if isinstance(schema, list):
        return all(_fits_strict_mode(s) for s in schema)
    if not isinstance(schema, Mapping):
        return True
    properties = schema.get("properties")
    if isinstance(properties, Mapping) or schema.get("type") == "object":
        named = properties or {}
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(named):
            return False
    return all(_fits_strict_mode(value) for value in schema.values())
