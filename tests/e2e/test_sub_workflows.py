"""Workflows that run others, on the local AWS: the events of executions that end are its own."""

from __future__ import annotations

import pytest

from tests.e2e.caller import Caller, Json, until
from tests.stepfunctions.engine.sub_workflows import ASKING, DOUBLE, FAILING, calling
from tests.stepfunctions.scenario import APPROVE

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]


def child_of(caller: Caller, run_id: str) -> str:
    """The id of the run that the node `call` has started, once it is there."""
    run = until(lambda: caller.run(run_id), lambda r: r["node_executions"]["call"]["child_execution_id"], every=0.2)
    child = run["node_executions"]["call"]["child_execution_id"]
    until(lambda: caller.send("GET", f"/workflows/executions/{child}").status_code, lambda s: s == 200, every=0.2)
    return str(child)


def test_the_output_of_another_workflow_and_who_runs_whom(mine: Caller) -> None:
    run_id = mine.start(calling(mine.published(DOUBLE)), 21)
    ended = mine.until(run_id)
    assert (ended["status"], ended["final_output"], ended["parent"]) == ("completed", 42, None)
    child: Json = mine.run(child_of(mine, run_id))
    assert child["parent"] == {"execution_id": run_id, "node_id": "call", "iteration": []}
    assert child["triggered_by"]["kind"] == "sub_workflow"


def test_a_question_two_runs_below(mine: Caller) -> None:
    between = mine.published(calling(mine.published(ASKING)))
    run_id = mine.start(calling(between))
    below = child_of(mine, child_of(mine, run_id))
    mine.answer(below, "ask", APPROVE)
    ended = mine.until(run_id)
    assert (ended["status"], ended["final_output"]["decision"]) == ("completed", "approved")


def test_cancel_reaches_every_run_below(mine: Caller) -> None:
    run_id = mine.start(calling(mine.published(calling(mine.published(ASKING)))))
    between = child_of(mine, run_id)
    below = child_of(mine, between)
    task_id = mine.task(below, "ask")
    mine.control(run_id, "cancel")
    for each in (run_id, between, below):
        assert mine.run(each)["status"] == "cancelled"
    assert mine.get(f"/tasks/{task_id}")["status"] == "cancelled"


def test_a_failure_below(mine: Caller) -> None:
    ended = mine.until(mine.start(calling(mine.published(FAILING))))
    assert (ended["status"], ended["error"]["error"], ended["error"]["node_id"]) == ("failed", "ChildFailed", "call")


def test_another_tenants_workflow_is_not_there(mine: Caller, theirs: Caller) -> None:
    ended = mine.until(mine.start(calling(theirs.published(DOUBLE)), 1))
    assert (ended["status"], ended["error"]["error"]) == ("failed", "WorkflowNotFound")
