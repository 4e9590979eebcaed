from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.base import NodeError
from tests.shared.nodes.calls import evaluate


@pytest.mark.parametrize(
    ("expression", "items", "results"),
    [
        ("item * 2", [1, 2, 3], [2, 4, 6]),
        ("index", ["a", "b"], [0, 1]),
        ("item.missing", [{}, {"missing": 1}], [None, 1]),
        ("item", [[1], [[2]], [], None, {"a": []}], [[1], [[2]], [], None, {"a": []}]),
        ("{'id': item.id, 'rate': variables.rate, 'of': $count(inputs.items)}", [{"id": 1}], None),
        ("item", [], []),
    ],
)
def test_every_item_becomes_one_result(expression: str, items: list[Any], results: list[Any] | None) -> None:
    names = {"variables": {"rate": 9}}
    output = evaluate("mapper", {"expression": expression}, {"items": items}, names=names)
    assert output == {"results": [{"id": 1, "rate": 9, "of": 1}] if results is None else results}


def test_a_hundred_thousand_items() -> None:
    items = [{"n": n, "text": "x" * 20} for n in range(100_000)]
    results = evaluate("mapper", {"expression": "item.n + index"}, {"items": items})["results"]
    assert results == [2 * n for n in range(100_000)]


@pytest.mark.parametrize("items", [None, "text", {"a": 1}, 5])
def test_only_lists(items: Any) -> None:
    with pytest.raises(NodeError) as caught:
        evaluate("mapper", {"expression": "item"}, {"items": items})
    assert caught.value.error == "InvalidInput"


def test_one_failing_item_fails_the_node() -> None:
    with pytest.raises(NodeError) as caught:
        evaluate("mapper", {"expression": "$number(item)"}, {"items": ["1", "x"]})
    assert caught.value.error == "ExpressionError"


def test_all_items_have_one_time() -> None:
    with pytest.raises(NodeError) as caught:
        evaluate("mapper", {"expression": "$sum([1..20000])"}, {"items": [0] * 1_000}, timeout_seconds=0.1)
    assert (caught.value.error, caught.value.retryable) == ("Timeout", False)
