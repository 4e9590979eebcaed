from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.base import NodeError
from shared.nodes.registry import get
from tests.shared.nodes.calls import evaluate, fits, problems

SOLD = [{"city": "Rome", "n": 1, "o": {"t": 2}}, {"city": "Oslo", "n": 4}, {"city": "Rome", "n": None}]


def output(values: Any, operation: str = "array", **config: Any) -> Any:
    return evaluate("aggregator", {"operation": operation, **config}, {"inputs": values})["output"]


@pytest.mark.parametrize(
    ("operation", "values", "config", "result"),
    [
        ("array", [1, [2], None], {}, [1, [2], None]),
        ("array", [1, [2, [3]]], {"flatten": True}, [1, 2, [3]]),
        ("object", [{"a": 1}, {"a": 2, "b": 3}], {}, {"a": 2, "b": 3}),
        ("object", [], {}, {}),
        ("sum", [1, 2, [3, None]], {}, 6),
        ("sum", [0.1] * 10, {}, 1.0),
        ("sum", [], {}, 0),
        ("sum", [SOLD], {"field": "n"}, 5),
        ("sum", [SOLD], {"field": "o.t"}, 2),
        ("sum", [{"a.b": 1, "a": {"b": 9}}], {"field": "a.b"}, 1),
        ("count", [1, [2, 3]], {}, 2),
        ("count", [1, [2, 3]], {"flatten": True}, 3),
        ("min", [3, 1.5, 2], {}, 1.5),
        ("max", [["2026-01-02", "2026-01-10"]], {}, "2026-01-10"),
        ("max", [], {}, None),
        ("average", [1, 2], {}, 1.5),
        ("average", [None], {}, None),
        ("join", ["a", None, 1, True, {"b": "é"}], {}, 'a, 1, true, {"b":"é"}'),
        ("join", [["a", "b"]], {"separator": ""}, "ab"),
        ("first", [None, 2], {}, None),
        ("first", [], {}, None),
        ("last", [1, [2]], {}, [2]),
        ("group_by", [SOLD[0], SOLD[1:]], {"field": "city"}, {"Rome": [SOLD[0], SOLD[2]], "Oslo": [SOLD[1]]}),
        ("group_by", [{"a": 1}, {}, 5], {"field": "a"}, {"1": [{"a": 1}], "null": [{}, 5]}),
        ("expression", [{"p": 2}, {"p": 3}], {"expression": "$sum(values.p)"}, 5),
        ("expression", [[1], [2]], {"expression": "$count(values)", "flatten": True}, 2),
    ],
)
def test_operations(operation: str, values: list[Any], config: dict[str, Any], result: Any) -> None:
    assert output(values, operation, **config) == result


def test_without_any_input() -> None:
    assert evaluate("aggregator", {}, {}) == {"output": []}


def test_a_typed_in_value_counts_as_one() -> None:
    assert output("x") == ["x"]


def test_every_operation_that_the_form_offers_works() -> None:
    for operation in get("aggregator").config_schema["properties"]["operation"]["enum"]:
        output([{"a": 1}] if operation in ("object", "group_by") else [1], operation, field="a", expression="values")


@pytest.mark.parametrize(
    ("operation", "values"),
    [
        ("sum", ["1"]),
        ("sum", [True]),
        ("average", [{"n": 1}]),
        ("min", [1, "a"]),
        ("max", [{}]),
        ("object", [{"a": 1}, None]),
        ("sum", [1e308, 1e308]),
        ("average", [10**400]),
        ("sum", [10**400, 0.5]),
    ],
)
def test_values_that_do_not_fit(operation: str, values: list[Any]) -> None:
    with pytest.raises(NodeError) as caught:
        output(values, operation)
    assert (caught.value.error, caught.value.retryable) == ("InvalidInput", False)


def test_a_failing_expression_fails_the_node() -> None:
    with pytest.raises(NodeError) as caught:
        output(["a"], "expression", expression="$sum(values)")
    assert caught.value.error == "ExpressionError"


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"operation": "group_by"}, ["config.field"]),
        ({"operation": "expression"}, ["config.expression"]),
        ({"operation": "group_by", "field": "a"}, []),
        ({}, []),
    ],
)
def test_what_an_operation_needs(config: dict[str, Any], where: list[str]) -> None:
    assert problems("aggregator", config) == where


@pytest.mark.parametrize("config", [{"operation": "median"}, {"field": ""}, {"flatten": 1}, {"separator": None}])
def test_configs_that_do_not_fit(config: dict[str, Any]) -> None:
    assert not fits(get("aggregator"), config)
