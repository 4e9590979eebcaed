from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.base import NodeError, Timer
from shared.nodes.registry import get
from tests.shared.nodes.calls import call, fits, problems

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z
YEAR = 365 * 86_400_000
DELAY = get("delay")
assert isinstance(DELAY, Timer)


@pytest.mark.parametrize(
    ("config", "moment"),
    [
        ({"ms": 0}, NOW),
        ({"ms": 1500}, NOW + 1500),
        ({"ms": YEAR}, NOW + YEAR),
        ({"ms": "{{ variables.wait }}"}, NOW + 250),
        ({"ms": "1000{{ '' }}"}, NOW + 1000),
        ({"until": "2026-01-01T01:00:00+01:00"}, NOW),
        ({"until": "2026-01-01T00:00:05Z"}, NOW + 5_000),
        ({"until": "2020-01-01T00:00:00Z"}, 1_577_836_800_000),
        ({"until": "{{ variables.then }}"}, NOW + 60_000),
        ({"until": "{{ variables.moment }}"}, NOW + 5),
    ],
)
def test_when_it_goes_on(config: dict[str, Any], moment: int) -> None:
    names = {"variables": {"wait": 250, "then": "2026-01-01T00:01:00Z", "moment": NOW + 5}}
    assert DELAY.until_ms(call("delay", config, names=names), NOW) == moment


@pytest.mark.parametrize(
    "config",
    [
        {"ms": "{{ nothing }}"},
        {"ms": "{{ 'soon' }}"},
        {"ms": "{{ -1 }}"},
        {"ms": "{{ true }}"},
        {"ms": "{{ [1] }}"},
        {"ms": "{{ 'nan' }}"},
        {"ms": f"{{{{ {YEAR + 1} }}}}"},
        {"until": "{{ 'soon' }}"},
        {"until": "{{ true }}"},
        {"until": "{{ {'a': 1} }}"},
        {"until": "2099-01-01T00:00:00Z"},
        {},
    ],
)
def test_moments_that_cannot_be_waited_for(config: dict[str, Any]) -> None:
    with pytest.raises(NodeError) as caught:
        DELAY.until_ms(call("delay", config), NOW)
    assert caught.value.error == "InvalidInput"


def test_it_hands_its_input_on_and_says_how_long_it_waited() -> None:
    assert DELAY.elapsed(call("delay", {"ms": 5}, {"input": {"a": 1}}), 7) == {"output": {"a": 1}, "elapsed": 7}
    assert DELAY.elapsed(call("delay", {"ms": 5}), 7) == {"output": None, "elapsed": 7}


def test_configs() -> None:
    assert problems("delay", {"ms": 5}) == []
    assert problems("delay", {"until": "{{ trigger.when }}"}) == []
    assert problems("delay", {}) == ["config"]
    assert problems("delay", {"ms": 5, "until": "2026-01-01T00:00:00Z"}) == ["config"]
    assert problems("delay", {"until": "soon"}) == ["config.until"]
    assert not fits(DELAY, {"ms": -1})
    assert not fits(DELAY, {"ms": YEAR + 1})
