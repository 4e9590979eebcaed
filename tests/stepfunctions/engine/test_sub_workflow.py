"""A node that runs another workflow: what it gives, and how it fails."""

from __future__ import annotations

from typing import Any

import pytest

from shared.members.service import SignedUp
from shared.tenancy import Principal, Tenant
from shared.workflows import service as workflows
from shared.workflows.model import Document
from stepfunctions import children, control
from stepfunctions.history import execution_view
from stepfunctions.release import publish_workflow, unpublish_workflow
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.sub_workflows import (
    ASKING,
    DOUBLE,
    FAILING,
    Publish,
    calling,
    child_of,
    failure,
    runs_of,
    swept,
)
from tests.stepfunctions.engine.watch import answer, comes_to, wait_for
from tests.stepfunctions.events import EventBridge

# --- what it gives ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("granularity", ["segment", "node"])
def test_the_output_of_another_workflow(machines: Machines, events: EventBridge, publish: Publish, granularity: str):
    made = calling(publish(DOUBLE, "double"))
    changed = made.settings.model_copy(update={"granularity": granularity})
    run = machines.start(made.model_copy(update={"settings": changed}), 21)
    ended = machines.until(run)
    assert (ended.status, machines.value(ended.final_output)) == ("completed", 42), ended.error
    child = child_of(machines, run)
    assert child.parent == {"execution_id": run.id, "node_id": "call", "scope": ""}
    assert (child.workflow_id, child.version, child.depth, child.status) == ("double", 1, 1, "completed")
    assert child.triggered_by == {"kind": "sub_workflow", "id": run.id, "user": None}
    assert machines.store.waited_for(run.id) == []
    assert swept() == {}


def test_a_large_output_is_handed_on_by_its_reference(machines: Machines, events: EventBridge, publish: Publish):
    large = document(
        [
            node("start", "manual_trigger"),
            node("many", "transform", {"expression": "$map([1..20000], function($i) { $i & inputs.input })"}),
            node("out", "output"),
        ],
        "start.trigger -> many.input; many.output -> out.value",
    )
    run = machines.start(calling(publish(large, "large")), "x")
    ended = machines.until(run)
    assert len(machines.value(ended.final_output)) == 20_000
    assert "r" in (ended.final_output or {})
    child = child_of(machines, run)
    assert machines.records(run)["", "call"].outputs == {"output": child.final_output}


def test_while_the_child_asks_somebody_the_parent_is_running(
    machines: Machines, events: EventBridge, publish: Publish, owner: SignedUp
):
    run = machines.start(calling(publish(ASKING, "asking")))
    child = child_of(machines, run)
    comes_to(machines, child, "paused", "human_input")
    assert (machines.store.get(run.id).status, machines.open_tasks(run)) == ("running", {})
    answer(machines, child, owner.user.id, "ask")
    ended = machines.until(run)
    assert (ended.status, machines.value(ended.final_output)["decision"]) == ("completed", "approved")


def test_a_version_that_is_named_is_run_also_when_none_is_published(
    machines: Machines, events: EventBridge, publish: Publish, tenant: Tenant
):
    unpublish_workflow(tenant, publish(DOUBLE, "double"))
    run = machines.start(calling("double", version=1), 4)
    assert machines.value(machines.until(run).final_output) == 8


def test_both_ends_are_shown(machines: Machines, events: EventBridge, publish: Publish, tenant: Tenant):
    run = machines.start(calling(publish(DOUBLE, "double")), 1)
    machines.until(run)
    view = execution_view(tenant, run.id)
    assert view["parent"] is None
    called = view["node_executions"]["call"]
    below = execution_view(tenant, called["child_execution_id"])
    assert below["parent"] == {"execution_id": run.id, "node_id": "call", "iteration": []}
    assert (called["inputs"], called["outputs"]) == ({"input": 1}, {"output": below["final_output"]})
    assert view["node_executions"]["out"]["child_execution_id"] is None


def test_two_children_side_by_side(machines: Machines, events: EventBridge, publish: Publish):
    publish(DOUBLE, "double")
    made = document(
        [
            node("start", "manual_trigger"),
            node("call", "sub_workflow", {"workflow_id": "double"}),
            node("other", "sub_workflow", {"workflow_id": "double"}),
            node("both", "merge"),
            node("out", "output"),
        ],
        """start.trigger -> call.input; start.trigger -> other.input; call.output -> both.inputs
        other.output -> both.inputs; both.output -> out.value""",
    )
    run = machines.start(made, 3)
    assert machines.value(machines.until(run).final_output) == [6, 6]
    assert child_of(machines, run).id != child_of(machines, run, "other").id


# --- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_error", ["fail", "continue", "branch"])
def test_a_child_that_fails(machines: Machines, events: EventBridge, publish: Publish, on_error: str):
    more = [node("caught", "output")] if on_error == "branch" else []
    wires = "call.error -> caught.value" if on_error == "branch" else ""
    fields = {"on_error": on_error} if on_error != "branch" else {}
    run = machines.start(calling(publish(FAILING, "failing"), *more, wires=wires, fields=fields))
    ended = machines.until(run)
    child = child_of(machines, run)
    assert child.status == "failed"
    error = machines.records(run)["", "call"].error or {}
    assert (error["node_id"], error["error"]) == ("call", "ChildFailed")
    assert error["message"].startswith(f"execution {child.id} failed at break: ExpressionError: "), error["message"]
    if on_error == "fail":
        assert (ended.status, ended.error) == ("failed", error)
    else:
        assert ended.status == "completed"
        assert machines.value(ended.final_output) == (error if on_error == "branch" else None)


def test_a_child_that_somebody_cancels(machines: Machines, events: EventBridge, publish: Publish, tenant: Tenant):
    run = machines.start(calling(publish(ASKING, "asking")))
    child = child_of(machines, run)
    wait_for(lambda: machines.open_tasks(child), "asked")
    control.cancel(tenant, child.id)
    assert failure(machines, run) == ("ChildCancelled", f"execution {child.id} was cancelled")


def test_a_child_that_takes_too_long_is_cancelled(
    machines: Machines, events: EventBridge, publish: Publish, stopped: list[str]
):
    run = machines.start(calling(publish(ASKING, "asking"), timeout_seconds=1))
    assert failure(machines, run)[0] == "Timeout"
    child = child_of(machines, run)
    assert (child.status, (child.error or {})["error"]) == ("cancelled", "Timeout")
    # The runner may not stop executions. What it could not do is done within a minute.
    assert swept() == {"told": 1}
    assert stopped == [child.execution_name]
    assert machines.open_tasks(child) == {}
    assert swept() == {}


HOOKS = document(
    [node("one", "http_webhook"), node("two", "http_webhook"), node("out", "output")], "one.body -> out.value"
)


@pytest.mark.parametrize(
    ("workflow_id", "config", "error"),
    [
        ("nowhere", {}, "WorkflowNotFound"),
        ("double", {"version": 9}, "WorkflowNotFound"),
        ("hooks", {}, "InvalidInput"),
        ("withdrawn", {}, "NotPublished"),
    ],
)
def test_what_cannot_be_started(
    machines: Machines, publish: Publish, tenant: Tenant, workflow_id: str, config: dict[str, Any], error: str
):
    publish(DOUBLE, "double")
    publish(HOOKS, "hooks")
    unpublish_workflow(tenant, publish(DOUBLE, "withdrawn"))
    run = machines.start(calling(workflow_id, **config))
    found, message = failure(machines, run)
    assert (found, bool(message)) == (error, True)
    assert runs_of(machines, workflow_id) == []
    assert machines.store.waited_for(run.id) == []


def test_another_tenants_workflow_is_not_there(
    machines: Machines, other_owner: SignedUp, other_tenant: Tenant, publish: Publish
):
    who = Principal(other_tenant, "user", other_owner.user.id, "owner", user_id=other_owner.user.id)
    workflows.create(who, DOUBLE.model_copy(update={"id": "theirs"}))
    publish_workflow(other_tenant, who, "theirs", None)
    run = machines.start(calling("theirs"))
    assert failure(machines, run) == ("WorkflowNotFound", "there is no workflow theirs")
    assert Machines(other_tenant, machines.functions).store.page("theirs", start=None, limit=9).items == []


# --- workflows that run themselves -----------------------------------------------------------------------------------


def countdown(until: int) -> Document:
    """Runs itself with one less, until `until` is reached."""
    return document(
        [
            node("start", "manual_trigger"),
            node("more", "condition", {"condition": f"inputs.input > {until}"}),
            node("less", "transform", {"expression": "inputs.input - 1"}),
            node("call", "sub_workflow", {"workflow_id": "countdown"}),
            node("last", "transform", {"expression": "'the end'"}),
            node("out", "output"),
        ],
        """start.trigger -> more.input; more.true -> less.input; less.output -> call.input; call.output -> out.value
        more.false -> last.input; last.output -> out.value""",
    )


def test_a_workflow_may_run_itself(machines: Machines, events: EventBridge, publish: Publish):
    publish(countdown(0), "countdown")
    run = machines.start(countdown(0), 2)
    assert machines.value(machines.until(run).final_output) == "the end"
    assert sorted(r.depth for r in runs_of(machines, "countdown")) == [1, 2]


def test_but_not_for_ever(machines: Machines, events: EventBridge, publish: Publish, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(children, "MAX_DEPTH", 3)
    publish(countdown(-1_000), "countdown")
    error, message = failure(machines, machines.start(countdown(-1_000), 0))
    assert error == "ChildFailed"
    assert message.endswith("TooDeep: at most 3 runs may wait for each other")
    assert sorted(r.depth for r in runs_of(machines, "countdown")) == [1, 2]
