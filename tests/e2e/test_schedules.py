"""Schedules fire by themselves, once for each instant."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from infrastructure.local.stack import Stack
from tests.e2e.caller import Caller, Json, until
from tests.functions.api.workflows_over_http import node, workflow

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("local-aws")]
EVERY_MINUTE = {"cron": "* * * * *", "timezone": "Europe/Berlin"}


def clock() -> Json:
    return workflow([node("clock", "schedule", EVERY_MINUTE), node("out", "output")], "clock.timestamp -> out.value")


def fired(caller: Caller, workflow_id: str) -> dict[str, datetime]:
    """The runs that a schedule started, with the instants for which it did."""
    found = caller.get(f"/workflows/{workflow_id}/executions")["items"]
    ids = [r["id"] for r in found if r["triggered_by"]["kind"] == "schedule"]
    return {i: datetime.fromisoformat(caller.run(i)["trigger_data"]["timestamp"]) for i in ids}


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
    due = next(moment for moment in map(datetime.fromisoformat, upcoming) if moment > paused_at)
    started = until(lambda: fired(mine, going), lambda found: due in found.values(), seconds=130, every=1)
    assert len(started) == len(set(started.values()))
    assert all(moment.second == 0 for moment in started.values())
    assert not [m for i, m in fired(mine, paused).items() if i != by_hand and m >= due]
    run_id = next(i for i, moment in started.items() if moment == due)
    ended = mine.until(run_id)
    assert (ended["status"], ended["trigger_node"]) == ("completed", "clock")
    assert ended["final_output"] == ended["trigger_data"]["timestamp"]

    # Scheduler may deliver twice: the same run, and no other.
    group = local.outputs["ScheduleGroupName"]
    held = local.client("scheduler").get_schedule(Name=active["id"], GroupName=group)["Target"]["Input"]
    event = json.loads(held.replace("<aws.scheduler.scheduled-time>", ended["final_output"]))
    assert local.invoke("dispatcher", event) == {"execution_id": run_id}
    assert list(fired(mine, going).values()).count(due) == 1
    for workflow_id in (going, paused):
        mine.post(f"/workflows/{workflow_id}/unpublish", {}, 200)
    assert mine.get(f"/schedules?workflow_id={going}")["items"] == []
    assert local.invoke("dispatcher", event) == {"execution_id": None}
