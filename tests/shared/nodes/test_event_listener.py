from __future__ import annotations

import pytest

from shared.nodes.base import NodeError
from tests.shared.nodes.calls import deliver, problems

CONFIG = {"pattern": {"source": ["shop"]}}
EVENT = {"id": "1", "source": "shop", "detail-type": "order", "time": "2026-01-05T08:00:00.000Z", "detail": {"n": 1}}


def test_the_event_is_handed_on():
    assert deliver("event_listener", {"event": EVENT}, CONFIG) == {"event": EVENT}


def test_by_hand_the_event_itself_will_do():
    assert deliver("event_listener", EVENT, CONFIG) == {"event": EVENT}
    assert deliver("event_listener", None, CONFIG) == {"event": {}}


@pytest.mark.parametrize("data", ["x", 5, [EVENT], {"event": "x"}, {"event": []}, True])
def test_what_is_no_event(data):
    with pytest.raises(NodeError) as caught:
        deliver("event_listener", data, CONFIG)
    assert caught.value.error == "InvalidInput"


def test_the_pattern_has_to_be_one():
    assert problems("event_listener", CONFIG) == []
    assert problems("event_listener", {"pattern": {"detail": {"n": [{"numeric": [">"]}]}}}) == [
        "config.pattern.detail.n"
    ]
