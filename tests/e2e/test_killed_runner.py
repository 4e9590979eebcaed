"""A run survives that its runner is killed in the middle of a segment; what was recorded is not done again."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest

from infrastructure.local.stack import Stack
from tests.e2e.caller import Caller, statuses_of, until
from tests.e2e.calling import calls, in_a_loop, in_a_row, steps
from tests.echo_server import EchoServer

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("local-aws")]
ITEMS = ["echo?", "echo?", "echo?", "held?", "echo?", "echo?"]


def test_it_completes_and_does_each_recorded_thing_once(mine: Caller, echo: EchoServer, local: Stack) -> None:
    row = mine.start(in_a_row(echo, "row"))
    loop = mine.start(in_a_loop(echo, "loop", at_once=2), ITEMS)
    once = mine.start(in_a_row(echo, "once", idempotent=False))

    def all_in_flight() -> bool:
        held = all("middle" in steps(echo, mark) for mark in ("row", "once"))
        return held and mine.run(loop)["node_executions"]["call"]["iterations"].get("completed") == 5

    until(all_in_flight, every=0.02)
    killed = local.worker_pids("runner")
    assert len(killed) >= 3
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    for mark in ("row", "loop", "once"):
        echo.release(mark)

    ended = mine.until(row)
    assert (ended["status"], ended["final_output"]) == ("completed", 200)
    assert statuses_of(ended) == dict.fromkeys(statuses_of(ended), "completed")
    assert steps(echo, "row") == ["before", "middle", "middle", "after"]
    assert len({key for _, key in calls(echo, "row")}) == 3  # the one in flight came twice under one key
    assert ended["node_executions"]["middle"]["attempts"] == 2
    assert ended["node_executions"]["before"]["attempts"] == 1

    ended = mine.until(loop)
    assert (ended["status"], ended["final_output"]) == ("completed", [200] * 6)
    assert Counter(steps(echo, "loop")) == {"0": 1, "1": 1, "2": 1, "3": 2, "4": 1, "5": 1}
    assert len({key for _, key in calls(echo, "loop")}) == 6

    # Nobody knows whether the call that was cut off did its work, and this one must not be made twice.
    ended = mine.until(once)
    assert (ended["status"], ended["error"]["node_id"], ended["error"]["error"]) == ("failed", "middle", "Interrupted")
    assert steps(echo, "once") == ["before", "middle"]
    assert statuses_of(ended)["after"] == "cancelled"
