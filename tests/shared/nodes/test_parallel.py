from __future__ import annotations

from typing import Any

import pytest

from tests.shared.nodes.calls import evaluate


@pytest.mark.parametrize("value", [None, 1, {"a": [1]}])
def test_the_input_is_handed_on(value: Any) -> None:
    assert evaluate("parallel", {}, {"inputs": value}) == {"outputs": value}


def test_without_an_input_it_hands_on_null() -> None:
    assert evaluate("parallel", {}, {}) == {"outputs": None}
