from __future__ import annotations

import json
from typing import Any

import pytest

from shared.nodes.base import NodeError
from shared.nodes.registry import get
from tests.shared.nodes.calls import evaluate, fits


@pytest.mark.parametrize(
    ("value", "indent", "text"),
    [
        ({"a": [1, 2.5, None, True], "é": "\n"}, 0, '{"a":[1,2.5,null,true],"é":"\\n"}'),
        ({"a": [1]}, 2, '{\n  "a": [\n    1\n  ]\n}'),
        ({"b": 1, "a": 2}, 0, '{"b":1,"a":2}'),
        ("text", 0, '"text"'),
        (None, 4, "null"),
        ({}, 2, "{}"),
    ],
)
def test_text(value: Any, indent: int, text: str) -> None:
    assert evaluate("json_stringify", {"indent": indent}, {"input": value}) == {"output": text}
    assert json.loads(text) == value


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "said"), [(nested(100_000), "too deep"), (float("nan"), "cannot say"), ({1, 2}, "cannot say")]
)
def test_what_json_cannot_say(value: Any, said: str) -> None:
    with pytest.raises(NodeError) as caught:
        evaluate("json_stringify", {}, {"input": value})
    assert (caught.value.error, caught.value.retryable) == ("InvalidInput", False)
    assert said in caught.value.message


@pytest.mark.parametrize("config", [{"indent": -1}, {"indent": 9}, {"indent": "  "}, {"sort": True}])
def test_configs_that_do_not_fit(config: dict[str, Any]) -> None:
    assert not fits(get("json_stringify"), config)
