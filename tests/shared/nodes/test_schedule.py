from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.base import NodeError
from tests.shared.nodes.calls import deliver, problems


def test_the_instant_it_was_due_is_what_the_run_sees() -> None:
    data = {"timestamp": "2026-01-05T09:00:00+01:00", "schedule": "s"}
    assert deliver("schedule", data) == {"timestamp": "2026-01-05T08:00:00.000Z"}


@pytest.mark.parametrize("data", [None, {}, {"other": 1}, []])
def test_a_run_started_by_hand_has_no_instant(data: Any) -> None:
    assert deliver("schedule", data) == {"timestamp": None}


@pytest.mark.parametrize("timestamp", ["soon", 5, ["2026"]])
def test_a_timestamp_must_be_one(timestamp: Any) -> None:
    with pytest.raises(NodeError) as caught:
        deliver("schedule", {"timestamp": timestamp})
    assert caught.value.error == "InvalidInput"


def test_bad_times_name_their_field() -> None:
    assert problems("schedule", {"cron": "0 9 * * *"}) == []
    assert problems("schedule", {"cron": "61 * * * *"}) == ["config.cron"]
    assert problems("schedule", {"every": "1 minute", "timezone": "Mars/Olympus"}) == ["config.timezone"]
