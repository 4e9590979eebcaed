"""Schedules fire by themselves, once for each instant."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime

import pytest

from infrastructure.local.stack import Stack
from tests.e2e.caller import Caller, Json, until
from tests.functions.api.workflows_over_http import node, workflow

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("local-aws")]
EVERY_MINUTE = {"cron": "* * * * *", "timezone": "Europe/Berlin"}


def clock() -> Json:
    return workflow(
        [node("clock", "schedule", EVERY_MINUTE), node("out", "output")], "clock.timestamp -> out.value"
    )


def runs_of(caller: Caller, workflow_id: str) -> list[Json]:
    found: list[Json] = caller.get(f"/workflows/{workflow_id}/executions")["items"]
    return [r for r in found if r["triggered_by"]["kind"] == "schedule"]


def fired(caller: Caller, workflow_id: str) -> list[str]:
    """The instants for which there are runs, a run each."""
    by_itself = [r for r in runs_of(caller, workflow_id) if r["triggered_by"]["user"] is None]
    return [caller.run(r["id"])["trigger_data"]["timestamp"] for r in by_itself]


def test_one_fires_by_itself_and_a_paused_one_does_not(mine: Caller, local: Stack) -> None:
    going, paused = mine.store(clock()), mine.store(clock())
    active, resting = mine.publish(going)["clock"], mine.publish(paused)["clock"]
    changed = mine.send("PATCH", f"/schedules/{resting['id']}", {"state": "paused"})
    assert (changed.status_code, changed.json()["next_runs"]) == (200, [])
    paused_at = datetime.now(UTC)
    upcoming = mine.get(f"/schedules/{active['id']}")["next_runs"]
    assert len(upcoming) == 5

    # By hand, it starts although it is paused.
    by_hand = mine.post(f"/schedules/{resting['id']}/run", None, 202)["execution_id"]
    run = mine.until(by_hand)
    assert (run["status"], run["triggered_by"]["kind"], run["triggered_by"]["id"]) == (
        "completed",
        "schedule",
        resting["id"],
    )

    # Far enough for the other to have been due as well.
    due = next(moment for moment in upcoming if datetime.fromisoformat(moment) > paused_at)
    instants = until(lambda: fired(mine, going), lambda found: _same(due) in map(_same, found), seconds=130, every=1)
    assert set(Counter(map(_same, instants)).values()) == {1}
    assert all(datetime.fromisoformat(i).second == 0 for i in instants)
    run_id = next(r["id"] for r in runs_of(mine, going))
    ended = mine.until(run_id)
    assert (ended["status"], ended["trigger_node"]) == ("completed", "clock")
    assert ended["final_output"] == ended["trigger_data"]["timestamp"]
    assert not [i for i in fired(mine, paused) if datetime.fromisoformat(i) > paused_at]

    # Scheduler may deliver twice: the same run, and no other.
    target = local.client("scheduler").get_schedule(
        Name=active["id"], GroupName=local.outputs["ScheduleGroupName"]
    )["Target"]
    event = json.loads(target["Input"].replace("<aws.scheduler.scheduled-time>", ended["final_output"]))
    assert local.invoke("dispatcher", event) == {"execution_id": run_id}
    assert set(Counter(map(_same, fired(mine, going))).values()) == {1}
    for workflow_id in (going, paused):
        mine.post(f"/workflows/{workflow_id}/unpublish", {}, 200)
    assert mine.get(f"/schedules?workflow_id={going}")["items"] == []
    assert local.invoke("dispatcher", event) == {"execution_id": None}


def _same(instant: str) -> datetime:
    return datetime.fromisoformat(instant)
