"""The JSON in a text that holds more than JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from shared.nodes.base import Call, NodeError, Outputs, Port, Pure
from shared.nodes.data._budget import Budget

_FENCE: Final = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)
_OPENING: Final = re.compile(r"[\[{]")


class ExtractJson(Pure):
    """Finds JSON in prose."""

    category = "data"
    display_name = "Extract JSON"
    description = (
        "Finds the first valid JSON value in a text, such as a model's answer: the whole text, else what a code fence "
        "holds, else the first object or list in the prose. What is no text passes unchanged."
    )
    inputs = {"text": Port("string", required=True, description="The text.")}
    outputs = {"json": Port("any", description="The value.")}
    errors = ("JsonNotFound", "Timeout")
    example = {
        "config": {},
        "inputs": {"text": 'Sure! Here it is:\n```json\n{"id": 7}\n```\nAnything else?'},
        "outputs": {"json": {"id": 7}},
    }

    # Pure although the catalogue of a run shows it as work: the same text always holds the same value, so finding it
    # again after a crash costs less than keeping it.
    def evaluate(self, call: Call) -> Outputs:
        """The value. Raises NodeError JsonNotFound; Timeout for a text that is full of brackets and holds no JSON."""
        text = call.inputs["text"]
        if not isinstance(text, str):
            return {"json": text}
        for value in _found(text.removeprefix("\ufeff"), Budget()):
            return {"json": value}
        raise NodeError("JsonNotFound", "there is no JSON in the text", retryable=False)


def _found(text: str, budget: Budget) -> Iterator[Any]:
    yield from _whole(text)
    for fence in _FENCE.finditer(text):
        budget.spend()
        yield from _whole(fence[1])
    for opening in _OPENING.finditer(text):
        budget.spend()
        try:
            yield _DECODER.raw_decode(text, opening.start())[0]
        except (ValueError, RecursionError):
            continue


def _whole(text: str) -> Iterator[Any]:
    try:
        yield _DECODER.decode(text)
    except (ValueError, RecursionError):
        return


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_DECODER: Final = json.JSONDecoder(parse_constant=_refused)
