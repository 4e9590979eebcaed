from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.base import NodeError
from tests.shared.nodes.calls import evaluate


@pytest.mark.parametrize(
    ("condition", "port"),
    [
        ("true", "true"),
        ("false", "false"),
        ("nothing.there", "false"),
        ("null", "false"),
        ("0", "false"),
        ("-1", "true"),
        ("''", "false"),
        ("'false'", "true"),
        ("[]", "false"),
        ("[0, '']", "false"),
        ("[0, 1]", "true"),
        ("[[]]", "false"),
        ("{}", "false"),
        ("{'a': 0}", "true"),
        ("inputs.input.amount > 100 and variables.on", "true"),
    ],
)
def test_truth_is_jsonatas(condition: str, port: str) -> None:
    inputs = {"input": {"amount": 101}}
    taken = evaluate("condition", {"condition": condition}, inputs, names={"variables": {"on": True}})
    assert taken == {port: {"amount": 101}}


@pytest.mark.parametrize("value", [None, 0, "", []])
def test_the_input_is_handed_on_whatever_it_is(value: Any) -> None:
    assert evaluate("condition", {"condition": "true"}, {"input": value}) == {"true": value}
    assert evaluate("condition", {"condition": "true"}, {}) == {"true": None}


def test_a_failing_expression_fails_the_node() -> None:
    with pytest.raises(NodeError) as caught:
        evaluate("condition", {"condition": "$number('x') > 1"}, {})
    assert caught.value.error == "ExpressionError"
