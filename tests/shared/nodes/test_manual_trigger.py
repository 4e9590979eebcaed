from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.base import NodeError
from tests.shared.nodes.calls import deliver, problems

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


@pytest.mark.parametrize("data", [None, 0, "text", [1], {"deep": {"er": None}}])
def test_without_a_schema_anything_goes(data: Any) -> None:
    assert deliver("manual_trigger", data) == {"trigger": data}
    assert deliver("manual_trigger", data, {"input_schema": None}) == {"trigger": data}


def test_data_that_fits_the_schema_goes_through() -> None:
    assert deliver("manual_trigger", {"n": 1}, {"input_schema": SCHEMA}) == {"trigger": {"n": 1}}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "'n' is a required property"),
        ({"n": "private"}, '$.n: must be of type "integer"'),
        ({"n": 1, "m": 2}, "unknown properties: m"),
        ("private", '$: must be of type "object"'),
    ],
)
def test_data_that_does_not_is_refused_without_being_repeated(data: Any, said: str) -> None:
    with pytest.raises(NodeError) as caught:
        deliver("manual_trigger", data, {"input_schema": SCHEMA})
    assert caught.value.error == "InvalidInput"
    assert not caught.value.retryable
    assert said in caught.value.message
    assert "private" not in caught.value.message


def test_bad_schemas() -> None:
    assert problems("manual_trigger", {}) == []
    assert problems("manual_trigger", {"input_schema": SCHEMA}) == []
    assert problems("manual_trigger", {"input_schema": {"type": "integr"}}) == ["config.input_schema.type"]
    assert problems("manual_trigger", {"input_schema": {"$ref": "https://x/y"}}) == ["config.input_schema"]
