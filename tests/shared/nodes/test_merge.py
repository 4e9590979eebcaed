from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.base import NodeError
from tests.shared.nodes.calls import evaluate


@pytest.mark.parametrize(
    ("mode", "values", "merged"),
    [
        ("array", [1, None, [2]], [1, None, [2]]),
        ("array", [], []),
        ("first", [None, 2], None),
        ("first", ["a", "b"], "a"),
        ("first", [], None),
        ("object", [{"a": 1, "b": {"x": 1}}, {"b": {"y": 2}}], {"a": 1, "b": {"y": 2}}),
        ("object", [], {}),
        ("object", [{"a": 1}, None, {"b": None}], {"a": 1, "b": None}),
        ("object", [None], {}),
    ],
)
def test_modes(mode: str, values: list[Any], merged: Any) -> None:
    assert evaluate("merge", {"mode": mode}, {"inputs": values}) == {"output": merged}


def test_array_is_the_default_and_a_value_that_was_typed_in_counts_as_one() -> None:
    assert evaluate("merge", {}, {"inputs": "typed"}) == {"output": ["typed"]}
    assert evaluate("merge", {}, {}) == {"output": []}


def test_only_objects_merge_into_one() -> None:
    with pytest.raises(NodeError, match="value 2 to merge is no object"):
        evaluate("merge", {"mode": "object"}, {"inputs": [{}, 5]})
