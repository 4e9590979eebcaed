"""The local AWS keeps its state between starts. (What runs when it stops is what it loses, and AWS would not.)"""

from __future__ import annotations

from pathlib import Path

import pytest

from infrastructure.local.stack import Stack, start
from tests.e2e.caller import Caller, statuses_of
from tests.e2e.calling import asking, in_a_row, steps
from tests.e2e.test_status_truth import make_due
from tests.echo_server import EchoServer
from tests.stepfunctions.scenario import APPROVE

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("local-aws")]


def owner(stack: Stack) -> Caller:
    seeded = stack.tenants[0]
    return Caller(stack.api_url, seeded.tenant_id, seeded.api_key)


def test_a_run_outlives_the_local_aws(echo: EchoServer, tmp_path: Path) -> None:
    first = start(tmp_path / "state", [echo.host])
    try:
        with (caller := owner(first)).http:
            done = caller.start(in_a_row(echo, "kept", "/echo?"))
            ended = caller.until(done)
            waiting = caller.start(asking(echo, "restart"))
            task_id = caller.task(waiting, "ask")
            answered = caller.start(asking(echo, "restart-answered"))
            caller.task(answered, "ask")
    finally:
        first.stop()

    second = start(tmp_path / "state", [echo.host])
    try:
        assert second.tenants == first.tenants
        with (caller := owner(second)).http:
            assert caller.run(done) == ended
            # MiniStack has forgotten the executions; the sweeper finds out, as it would on AWS. An answer that comes
            # before that is kept.
            caller.answer(answered, "ask", APPROVE)
            for run_id in (waiting, answered):
                make_due(second, caller.tenant_id, run_id)
            second.invoke("run_events", {})
            for run_id in (waiting, answered):
                failed = caller.run(run_id)
                assert failed["status"] == "failed"
                assert statuses_of(failed)["before"] == "completed"
                caller.control(run_id, "retry")
            # Retries go on from there: one asks anew, the other needs not.
            assert caller.get(f"/tasks/{task_id}")["status"] == "cancelled"
            caller.answer(waiting, "ask", APPROVE)
            for run_id, mark in ((waiting, "restart"), (answered, "restart-answered")):
                assert caller.until(run_id, seconds=30)["status"] == "completed"
                assert steps(echo, mark) == ["before", "after"]
            assert len(caller.get(f"/tasks?execution_id={answered}")["items"]) == 1
    finally:
        second.stop()
