from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.base import NodeError
from shared.nodes.registry import get
from tests.shared.nodes.calls import evaluate, fits, problems

CASES = {"big": "inputs.input > 100", "positive": "inputs.input > 0", "broken": "$error('reached')"}


@pytest.mark.parametrize(("value", "port"), [(500, "big"), (5, "positive")])
def test_the_first_case_that_holds_wins_and_later_ones_are_not_evaluated(value: int, port: str) -> None:
    assert evaluate("switch", {"cases": CASES}, {"input": value}) == {port: value}


def test_none_holds() -> None:
    assert evaluate("switch", {"cases": {"a": "false"}}, {"input": 1}) == {"default": 1}


def test_a_failing_case_fails_the_node() -> None:
    with pytest.raises(NodeError) as caught:
        evaluate("switch", {"cases": CASES}, {"input": -1})
    assert caught.value.error == "ExpressionError"


def test_there_is_a_port_for_each_case() -> None:
    assert list(get("switch").output_ports({"cases": CASES})) == ["big", "positive", "broken", "default"]
    for wrong in ({}, {"cases": None}, {"cases": ["a"]}):
        assert list(get("switch").output_ports(wrong)) == ["default"]


@pytest.mark.parametrize(
    "config", [{}, {"cases": {}}, {"cases": {"a b": "true"}}, {"cases": {"a": ""}}, {"cases": {"a": True}}]
)
def test_configs_that_do_not_fit(config: dict[str, Any]) -> None:
    assert not fits(get("switch"), config)


@pytest.mark.parametrize("name", ["default", "error"])
def test_ports_that_are_there_anyway_are_no_cases(name: str) -> None:
    assert problems("switch", {"cases": {"a": "true", name: "true"}}) == [f"config.cases.{name}"]
