from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.base import NodeError
from tests.shared.nodes.calls import evaluate


@pytest.mark.parametrize(
    ("condition", "items", "results", "rejected"),
    [
        ("item > 1", [1, 2, 3], [2, 3], [1]),
        ("index % 2 = 0", ["a", "b", "c"], ["a", "c"], ["b"]),
        ("item", [0, "", None, [], {}, [0], "x"], ["x"], [0, "", None, [], {}, [0]]),
        ("item.price > variables.limit", [{"price": 5}, {"price": 50}, {}], [{"price": 50}], [{"price": 5}, {}]),
        ("true", [], [], []),
    ],
)
def test_a_list_is_parted_in_order(condition: str, items: list[Any], results: list[Any], rejected: list[Any]) -> None:
    output = evaluate("filter", {"condition": condition}, {"items": items}, names={"variables": {"limit": 10}})
    assert output == {"results": results, "rejected": rejected}


def test_a_hundred_thousand_items() -> None:
    output = evaluate("filter", {"condition": "item < 10"}, {"items": list(range(100_000))})
    assert output["results"] == list(range(10))
    assert len(output["rejected"]) == 99_990


@pytest.mark.parametrize("items", [None, "text", {"a": 1}])
def test_only_lists(items: Any) -> None:
    with pytest.raises(NodeError) as caught:
        evaluate("filter", {"condition": "true"}, {"items": items})
    assert caught.value.error == "InvalidInput"


def test_a_failing_expression_fails_the_node() -> None:
    with pytest.raises(NodeError) as caught:
        evaluate("filter", {"condition": "item > 1"}, {"items": ["text"]})
    assert caught.value.error == "ExpressionError"


def test_all_items_have_one_time() -> None:
    with pytest.raises(NodeError) as caught:
        evaluate("filter", {"condition": "$sum([1..20000]) > 1"}, {"items": [0] * 1_000}, timeout_seconds=0.1)
    assert (caught.value.error, caught.value.retryable) == ("Timeout", False)
