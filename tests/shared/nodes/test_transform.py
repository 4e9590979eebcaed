from __future__ import annotations

import pytest

from shared.nodes.base import NodeError
from tests.shared.nodes.calls import evaluate


def test_it_computes_over_everything_in_scope() -> None:
    names = {"variables": {"rate": 2}, "trigger": {"n": 5}}
    config = {"expression": "{'total': $sum(inputs.input.price) * variables.rate + trigger.n}"}
    inputs = {"input": [{"price": 1}, {"price": 2}]}
    assert evaluate("transform", config, inputs, names=names) == {"output": {"total": 11}}


def test_nothing_becomes_null() -> None:
    assert evaluate("transform", {"expression": "inputs.input.missing"}, {"input": {}}) == {"output": None}


@pytest.mark.parametrize("expression", ["$number('x')", "$error('no')", "$eval('1')", "1 + 'a'", "("])
def test_a_failing_expression_fails_the_node(expression: str) -> None:
    with pytest.raises(NodeError) as caught:
        evaluate("transform", {"expression": expression})
    assert caught.value.error == "ExpressionError"
