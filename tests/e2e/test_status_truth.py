"""What a run's status says is true, even when its execution ends, or never begins, behind the product's back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from infrastructure.local.stack import Stack
from shared.ids import new_id
from shared.store.keys import sweep_shard
from tests.e2e.behind import execution_of, of_run
from tests.e2e.caller import Caller, statuses_of
from tests.e2e.calling import asking, in_a_row, steps
from tests.echo_server import EchoServer
from tests.stepfunctions.scenario import APPROVE

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
LONG_AGO = "2000-01-01T00:00:00.000Z"


def stop(local: Stack, run_id: str) -> None:
    local.client("stepfunctions").stop_execution(executionArn=execution_of(local, run_id), error="Ops", cause="by hand")


def make_due(local: Stack, tenant_id: str, run_id: str) -> None:
    """Let the sweeper look at a run at its next sweep instead of in some minutes."""
    local.client("dynamodb").update_item(
        TableName=local.outputs["TableName"],
        Key={"PK": {"S": f"T#{tenant_id}#EX#{run_id}"}, "SK": {"S": "META"}},
        UpdateExpression="SET GSI2SK = :due",
        ConditionExpression="attribute_exists(GSI2PK)",
        ExpressionAttributeValues={":due": {"S": LONG_AGO}},
    )


@contextmanager
def deaf(local: Stack) -> Iterator[None]:
    """No event of Step Functions arrives."""
    events = local.client("events")
    name = next(r["Name"] for r in events.list_rules()["Rules"] if "aws.states" in r.get("EventPattern", ""))
    events.disable_rule(Name=name)
    try:
        yield
    finally:
        events.enable_rule(Name=name)


def test_a_stopped_execution_is_a_cancelled_run(mine: Caller, echo: EchoServer, local: Stack) -> None:
    run_id = mine.start(asking(echo, "stopped"))
    task_id = mine.task(run_id, "ask")
    stop(local, run_id)
    ended = mine.until(run_id, seconds=20)
    assert (ended["status"], ended["error"]) == ("cancelled", None)
    assert statuses_of(ended) | {"before": "completed", "after": "cancelled", "ask": "cancelled"} == statuses_of(ended)
    assert mine.get(f"/tasks/{task_id}")["status"] == "cancelled"
    mine.refused("POST", f"/tasks/{task_id}/complete", 409, APPROVE)

    # It is a cancelled run like any other: it can go on, and asks anew.
    mine.control(run_id, "retry")
    mine.answer(run_id, "ask", APPROVE)
    assert mine.until(run_id)["status"] == "completed"
    assert steps(echo, "stopped") == ["before", "after"]


def test_an_execution_out_of_time_is_a_failed_run(mine: Caller, echo: EchoServer) -> None:
    run_id = mine.start(asking(echo, "late", timeout_seconds=6))
    task_id = mine.task(run_id, "ask")
    ended = mine.until(run_id, seconds=30)
    assert (ended["status"], ended["error"]["error"]) == ("failed", "Timeout")
    assert "longer than its workflow allows" in ended["error"]["message"]
    assert mine.get(f"/tasks/{task_id}")["status"] == "cancelled"


def test_the_sweeper_finds_an_end_that_no_event_told(mine: Caller, echo: EchoServer, local: Stack) -> None:
    run_id = mine.start(asking(echo, "unseen"))
    task_id = mine.task(run_id, "ask")
    with deaf(local):
        stop(local, run_id)
        local.invoke("run_events", {})  # not due yet
        assert mine.run(run_id)["status"] == "paused"
        make_due(local, mine.tenant_id, run_id)
        local.invoke("run_events", {})
    assert mine.run(run_id)["status"] == "cancelled"
    assert mine.get(f"/tasks/{task_id}")["status"] == "cancelled"


def test_the_sweeper_starts_what_was_only_written_down(mine: Caller, echo: EchoServer, local: Stack) -> None:
    """Whoever starts a run writes it down first; here it died before it could start the execution."""
    pattern = mine.start(in_a_row(echo, "gap", "/echo?"))
    mine.until(pattern)
    assert steps(echo, "gap") == ["before", "middle", "after"]
    written = next(i for i in of_run(local, mine.tenant_id, pattern) if i["SK"]["S"] == "META")
    run_id = new_id("ex")
    put(local, written, run_id)
    local.invoke("run_events", {})
    ended = mine.until(run_id)
    assert (ended["status"], ended["final_output"]) == ("completed", 200)
    assert steps(echo, "gap") == ["before", "middle", "after"] * 2
    local.invoke("run_events", {})
    assert len(steps(echo, "gap")) == 6


def put(local: Stack, written: dict[str, Any], run_id: str) -> None:
    """A run as it is before its execution is started, like one that has been."""
    gone = {"started_at", "completed_at", "final_output", "error", "control", "pause_reason"}
    fresh = {name: value for name, value in written.items() if name not in gone}
    fresh |= {
        "PK": {"S": written["PK"]["S"].rpartition("#")[0] + f"#{run_id}"},
        "id": {"S": run_id},
        "status": {"S": "pending"},
        "GSI1SK": {"S": run_id},
        "GSI2PK": {"S": sweep_shard(run_id)},
        "GSI2SK": {"S": LONG_AGO},
    }
    local.client("dynamodb").put_item(TableName=local.outputs["TableName"], Item=fresh)
