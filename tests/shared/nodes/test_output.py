from __future__ import annotations

from shared.nodes.registry import get
from tests.shared.nodes.calls import evaluate, fits


def test_it_takes_one_value_and_has_no_ports_of_its_own() -> None:
    assert list(get("output").inputs) == ["value"]
    assert get("output").output_ports({}) == {}
    assert evaluate("output", {"name": "x"}, {"value": 1}) == {}


def test_a_name_is_text() -> None:
    assert not fits(get("output"), {"name": 5})
