"""Pause, resume, cancel and retry, over HTTP, at every kind of place where a run can be."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from infrastructure.local.stack import Stack
from tests.e2e.behind import execution_of, of_run
from tests.e2e.caller import Caller, statuses_of, until
from tests.e2e.calling import asking, calls, in_a_loop, in_a_row, steps
from tests.echo_server import EchoServer
from tests.stepfunctions.scenario import APPROVE

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
LOOP = ["echo?", "held?", *["slow?s=0.3&"] * 6]


def unseen_for_a_while() -> None:
    """The runner looks at most four times a second whether it is to pause, so the next look must be a fresh one."""
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 0.3, every=0.05)


@pytest.fixture
def called(echo: EchoServer) -> Callable[[str, str], Any]:
    """Waits until a step was called."""
    return lambda mark, step: until(lambda: step in steps(echo, mark), every=0.02)


def test_pause_in_a_slow_node_rests_after_it(mine: Caller, echo: EchoServer, called: Callable[[str, str], Any]) -> None:
    run_id = mine.start(in_a_row(echo, "pause-slow"))
    called("pause-slow", "middle")
    assert mine.control(run_id, "pause")["pause_requested"]
    assert mine.control(run_id, "pause")["status"] == "running"  # the node in flight finishes first
    unseen_for_a_while()
    echo.release("pause-slow")
    rests = mine.until(run_id, "paused")
    assert rests["pause_reason"] == "requested"
    assert {n: statuses_of(rests)[n] for n in ("before", "middle", "after")} == {
        "before": "completed",
        "middle": "completed",
        "after": "pending",
    }
    assert steps(echo, "pause-slow") == ["before", "middle"]
    assert not mine.control(run_id, "resume")["pause_requested"]
    assert mine.until(run_id)["status"] == "completed"
    assert steps(echo, "pause-slow") == ["before", "middle", "after"]
    assert mine.refused("POST", f"/workflows/executions/{run_id}/resume", 409)["code"] == "run_ended"
    assert mine.refused("POST", f"/workflows/executions/{run_id}/pause", 409)["code"] == "run_ended"


def test_pause_in_a_loop_rests_between_iterations(
    mine: Caller, echo: EchoServer, called: Callable[[str, str], Any]
) -> None:
    run_id = mine.start(in_a_loop(echo, "pause-loop"), LOOP)
    called("pause-loop", "1")
    mine.control(run_id, "pause")
    echo.release("pause-loop")
    rests = mine.until(run_id, "paused")
    done = rests["node_executions"]["call"]["iterations"]["completed"]
    assert 2 <= done < len(LOOP)
    assert len(steps(echo, "pause-loop")) == done
    mine.control(run_id, "resume")
    assert mine.until(run_id)["final_output"] == [200] * len(LOOP)
    assert steps(echo, "pause-loop") == [str(i) for i in range(len(LOOP))]


def test_pause_while_a_person_is_asked_holds_after_the_answer(mine: Caller, echo: EchoServer) -> None:
    run_id = mine.start(asking(echo, "pause-asked"))
    asked = mine.until(run_id, "paused")
    assert asked["pause_reason"] == "human_input"
    assert mine.refused("POST", f"/workflows/executions/{run_id}/resume", 409)["code"] == "not_paused"
    mine.control(run_id, "pause")
    mine.answer(run_id, "ask", APPROVE)
    until(lambda: mine.run(run_id), lambda r: (r["status"], r["pause_reason"]) == ("paused", "requested"), every=0.2)
    assert steps(echo, "pause-asked") == ["before"]
    mine.control(run_id, "resume")
    assert mine.until(run_id)["status"] == "completed"
    assert steps(echo, "pause-asked") == ["before", "after"]


def test_a_pause_taken_back_before_the_answer_changes_nothing(mine: Caller, echo: EchoServer) -> None:
    run_id = mine.start(asking(echo, "pause-back"))
    mine.task(run_id, "ask")
    mine.control(run_id, "pause")
    mine.control(run_id, "resume")
    assert mine.run(run_id)["status"] == "paused"  # still waiting for the person
    mine.answer(run_id, "ask", APPROVE)
    assert mine.until(run_id)["status"] == "completed"


def test_cancel_in_a_slow_node(mine: Caller, echo: EchoServer, local: Stack, called: Callable[[str, str], Any]) -> None:
    run_id = mine.start(in_a_row(echo, "cancel-slow", timeout_seconds=600))  # Express cannot be stopped
    called("cancel-slow", "middle")
    assert mine.control(run_id, "cancel")["status"] == "cancelled"
    described = local.client("stepfunctions").describe_execution(executionArn=execution_of(local, run_id))
    assert described["status"] == "ABORTED"
    assert mine.refused("POST", f"/workflows/executions/{run_id}/cancel", 409)["code"] == "run_ended"
    found = statuses_of(mine.run(run_id))
    assert (found["before"], found["after"]) == ("completed", "cancelled")
    echo.release("cancel-slow")

    # A retry goes on where it stopped: what was in flight has finished or is done again, nothing before it is.
    mine.control(run_id, "retry")
    ended = mine.until(run_id)
    assert (ended["status"], ended["attempt"]) == ("completed", 1)
    assert steps(echo, "cancel-slow").count("before") == 1
    assert steps(echo, "cancel-slow").count("after") == 1
    assert len({key for step, key in calls(echo, "cancel-slow") if step == "middle"}) == 1


def test_cancel_while_a_person_is_asked_takes_the_question_back(mine: Caller, echo: EchoServer) -> None:
    run_id = mine.start(asking(echo, "cancel-asked"))
    task_id = mine.task(run_id, "ask")
    mine.control(run_id, "cancel")
    assert mine.get(f"/tasks/{task_id}")["status"] == "cancelled"
    mine.refused("POST", f"/tasks/{task_id}/complete", 409, APPROVE)
    assert statuses_of(mine.run(run_id))["ask"] == "cancelled"
    assert steps(echo, "cancel-asked") == ["before"]


def test_cancel_in_a_loop(mine: Caller, echo: EchoServer, local: Stack, called: Callable[[str, str], Any]) -> None:
    run_id = mine.start(in_a_loop(echo, "cancel-loop"), LOOP)
    called("cancel-loop", "1")
    mine.control(run_id, "cancel")
    echo.release("cancel-loop")
    # The runner finds out at the next boundary, and puts down what it has in hand.
    in_hand = until(
        lambda: [
            i["SK"]["S"]
            for i in of_run(local, mine.tenant_id, run_id)
            if i["SK"]["S"].startswith("J#") and i.get("status") == {"S": "running"}
        ],
        lambda keys: not keys,
        seconds=20,
    )
    assert in_hand == []
    found = statuses_of(mine.run(run_id))
    assert (found["each"], found["out"]) == ("cancelled", "cancelled")
    assert len(steps(echo, "cancel-loop")) < len(LOOP)


def test_cancel_while_resting(mine: Caller, echo: EchoServer, called: Callable[[str, str], Any]) -> None:
    run_id = mine.start(in_a_row(echo, "cancel-resting"))
    called("cancel-resting", "middle")
    mine.control(run_id, "pause")
    unseen_for_a_while()
    echo.release("cancel-resting")
    mine.until(run_id, "paused")
    mine.control(run_id, "cancel")
    assert mine.run(run_id)["status"] == "cancelled"
    mine.refused("POST", f"/workflows/executions/{run_id}/resume", 409)
    assert steps(echo, "cancel-resting") == ["before", "middle"]


def test_retry_goes_on_from_the_failed_node(mine: Caller, echo: EchoServer) -> None:
    run_id = mine.start(in_a_row(echo, "retry", "/flaky?n=2&"))
    for attempt in (0, 1):
        failed = mine.until(run_id)
        assert (failed["status"], failed["attempt"], failed["error"]["node_id"]) == ("failed", attempt, "middle")
        assert statuses_of(failed)["after"] == "cancelled"
        mine.control(run_id, "retry")
    ended = mine.until(run_id)
    assert (ended["status"], ended["final_output"], ended["error"]) == ("completed", 200, None)
    assert steps(echo, "retry") == ["before", "middle", "middle", "middle", "after"]
    assert mine.refused("POST", f"/workflows/executions/{run_id}/retry", 409)["code"] == "not_failed"


def test_retry_in_a_loop_keeps_the_iterations_that_are_done(mine: Caller, echo: EchoServer) -> None:
    run_id = mine.start(in_a_loop(echo, "retry-loop"), ["echo?", "echo?", "flaky?n=1&", "echo?"])
    assert mine.until(run_id)["status"] == "failed"
    mine.control(run_id, "retry")
    assert mine.until(run_id)["final_output"] == [200] * 4
    assert steps(echo, "retry-loop") == ["0", "1", "2", "2", "3"]


def test_retry_asks_no_question_twice(mine: Caller, echo: EchoServer) -> None:
    document = asking(echo, "retry-asked").model_dump(mode="json", exclude_none=True, exclude={"id"})
    after = next(n for n in document["nodes"] if n["id"] == "after")
    after["inputs"]["url"] = after["inputs"]["url"].replace("/echo?", "/flaky?n=1&")
    run_id = mine.start(document)
    task_id = mine.task(run_id, "ask")
    mine.answer(run_id, "ask", APPROVE)
    assert mine.until(run_id)["status"] == "failed"
    mine.control(run_id, "retry")
    assert mine.until(run_id)["status"] == "completed"
    assert [t["id"] for t in mine.get(f"/tasks?execution_id={run_id}")["items"]] == [task_id]
    assert steps(echo, "retry-asked") == ["before", "after", "after"]
