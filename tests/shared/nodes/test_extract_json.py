from __future__ import annotations

import time
from typing import Any

import pytest

from shared.nodes.base import NodeError
from tests.shared.nodes.calls import evaluate


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        (" 5 ", 5),
        ('"text"', "text"),
        ("\ufeff[]", []),
        ('Sure:\n```json\n{"a": 1}\n```\nDone [2].', {"a": 1}),
        ("See [1].\n```\n[2]\n```", [2]),
        ("```json\n7\n```", 7),
        ('  ```JSON\r\n{"a": 1}\r\n  ```', {"a": 1}),
        ("```python\nx = {}\n```\n```json\n[3]\n```", [3]),
        ('```json\n{"a": 1,}\n```\nor {"b": 2}', {"b": 2}),
        ('The answer is {"a": {"b": [1]}}, I think.', {"a": {"b": [1]}}),
        ("{not json} [1, 2] [3]", [1, 2]),
        ('[broken, {"a": "}"}', {"a": "}"}),
        ("[NaN] then [0]", [0]),
        ('unclosed fence ```json\n{"a": 1}', {"a": 1}),
    ],
)
def test_the_first_value(text: str, value: Any) -> None:
    assert evaluate("extract_json", {}, {"text": text}) == {"json": value}


@pytest.mark.parametrize("value", [{"a": 1}, [1], 5, None, True])
def test_what_is_parsed_already_passes(value: Any) -> None:
    assert evaluate("extract_json", {}, {"text": value}) == {"json": value}


@pytest.mark.parametrize("text", ["", "no json, 5 or true", "{'a': 1}", "[", "}{", "[NaN]", '{"a": ', "[" * 2_000])
def test_no_json(text: str) -> None:
    with pytest.raises(NodeError) as caught:
        evaluate("extract_json", {}, {"text": text})
    assert (caught.value.error, caught.value.retryable) == ("JsonNotFound", False)


@pytest.mark.parametrize("text", ["[1," * 300_000, "```\n" * 300_000, '{"a":' * 300_000, "[{" * 300_000])
def test_time_is_bounded(text: str) -> None:
    began = time.monotonic()
    with pytest.raises(NodeError) as caught:
        evaluate("extract_json", {}, {"text": text})
    assert caught.value.error in ("Timeout", "JsonNotFound")
    assert time.monotonic() - began < 10
