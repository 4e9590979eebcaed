from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.base import Container
from shared.nodes.registry import get
from tests.shared.nodes.calls import fits, problems

LOOP = get("loop")


def test_its_body_sees_the_item_and_its_place() -> None:
    assert isinstance(LOOP, Container)
    assert {name: port.type for name, port in LOOP.inner.items()} == {"item": "any", "index": "number"}
    assert LOOP.body_names == {"item", "index"}
    assert {name: port.type for name, port in LOOP.outputs.items()} == {"results": "array", "count": "number"}


@pytest.mark.parametrize(
    "config",
    [
        {"max_concurrency": 0},
        {"max_concurrency": 1.5},
        {"max_concurrency": 10_000},
        {"on_item_error": "ignore"},
        {"mode": "parallel"},
        {"result": ""},
        {"items": [1]},
    ],
)
def test_configs_that_do_not_fit(config: dict[str, Any]) -> None:
    assert not fits(LOOP, config)


def test_configs_that_do() -> None:
    assert fits(LOOP, {})
    assert fits(LOOP, {"max_concurrency": 50, "on_item_error": "skip", "mode": "inline", "result": "nodes.a.b"})


def test_failures_are_counted_only_where_they_are_put_up_with() -> None:
    assert problems("loop", {"tolerated_failures": 3}) == ["config.tolerated_failures"]
    assert not problems("loop", {"tolerated_failures": 3, "on_item_error": "null"})
