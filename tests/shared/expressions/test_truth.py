from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.expressions.jsonata import evaluate
from shared.expressions.truth import truth

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", 0.0, -0.5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)


@given(VALUES)
def test_it_is_what_jsonata_says(value: Any) -> None:
    assert truth(value) == bool(evaluate("$boolean(v)", {"v": value}))


@pytest.mark.parametrize(("value", "expected"), [(None, False), ([0, [1]], True), ([{}], False), ("0", True)])
def test_some_by_hand(value: Any, expected: bool) -> None:
    assert truth(value) is expected
