"""Answers that fit a schema: how they are asked for, read and sent back for repair, whichever provider it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NoReturn

from shared.nodes.ai import _models
from shared.nodes.ai._models import Answer, Link, NoSchemaMode, Request, Unanswered
from shared.nodes.base import NodeError
from shared.nodes.json_schemas import faults

Mode = Literal["auto", "native", "instruction"]
_FENCED: Final = re.compile(r"```[a-zA-Z0-9]*[ \t]*\n(.*?)```", re.DOTALL)
_START: Final = re.compile(r"[\[{]")


@dataclass(slots=True)
class Spent:
    """What a conversation has cost so far, also where it fails."""

    usage: dict[str, Any] = field(default_factory=lambda: _models.usage(0, 0, ""))


async def converse(provider: str, link: Link, request: Request, spent: Spent) -> Answer:
    """One answer, paid for in `spent`. Raises NodeError."""
    try:
        answer = await _models.put(provider, link, request)
    except Unanswered as error:
        _models.add_usage(spent.usage, error.usage)
        raise
    _models.add_usage(spent.usage, answer.usage)
    return answer


async def fitting(
    provider: str,
    link: Link,
    request: Request,
    schema: Mapping[str, Any],
    spent: Spent,
    *,
    mode: Mode = "auto",
    repairs: int = 2,
) -> tuple[Answer, Any]:
    """An answer and its value, which fits the schema. Raises NodeError InvalidResponse when it never does.

    `native` asks by the provider's JSON Schema mode, `instruction` in words, `auto` by the first and by the second
    where the provider does not take it. An answer that calls tools is given back at once, with the value None.
    """
    asked = replace(request, schema=schema) if mode != "instruction" else instructed(request, schema)
    found: list[str] = []
    for attempt in range(repairs + 1):
        try:
            answer = await converse(provider, link, asked, spent)
        except NoSchemaMode:
            if mode == "native":
                raise
            asked = instructed(replace(asked, schema=None), schema)
            answer = await converse(provider, link, asked, spent)
        if answer.tool_calls:
            return answer, None
        try:
            value = read(answer.text)
        except ValueError as error:
            found = [f"$: {error}"]
        else:
            found = faults(value, schema)
            if not found:
                return answer, value
        if answer.finish == "length":
            raise NodeError("InvalidResponse", "the answer was cut off before it was complete; raise max_tokens")
        if attempt == 0 and asked.schema is not None:
            asked = instructed(asked, schema)  # the endpoint took the schema and ignored it: say it in words too
        repair = [
            {"role": "assistant", "content": answer.text or "(nothing)"},
            {"role": "user", "content": complaint(found)},
        ]
        asked = replace(asked, messages=[*asked.messages, *repair])
    told = "; ".join(found)[:1000]
    raise NodeError("InvalidResponse", f"after {repairs + 1} attempts the answer does not fit: {told}")


def instructed(request: Request, schema: Mapping[str, Any]) -> Request:
    """The schema in the system message, which some models' formats only know as the first."""
    text = instruction(schema)
    first, *rest = request.messages
    if first["role"] == "system" and isinstance(first.get("content"), str):
        return replace(request, messages=[{"role": "system", "content": f"{first['content']}\n\n{text}"}, *rest])
    return replace(request, messages=[{"role": "system", "content": text}, first, *rest])


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
