"""Workflows as tools: started by a node of another run, and waited for in its call."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import Conflict, Invalid, NotFound
from shared.members.service import SignedUp
from shared.resources.documents import WorkflowTool
from shared.resources.service import create
from shared.runs.model import Run
from shared.settings import settings
from shared.tenancy import Principal, Tenant
from shared.workflows import service as workflows
from stepfunctions import canary, short_runs
from stepfunctions.release import publish_workflow
from stepfunctions.short_runs import ShortRuns
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.faults import Service
from tests.stepfunctions.short_runs import post

pytestmark = pytest.mark.parametrize("express", ["", "off"])


@pytest.fixture(autouse=True)
def _tiers(machines: Machines, express: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SW_EXPRESS", express)
    monkeypatch.setattr(short_runs, "_LOOK_SECONDS", 0.02)
    settings.cache_clear()


def twice(**more: Any):
    nodes = [
        node("start", "manual_trigger"),
        node("double", "transform", {"expression": "$number(inputs.input.n) * 2"}),
        node("out", "output"),
    ]
    return document(nodes, "start.trigger -> double.input; double.output -> out.value", **more)


def asking():
    nodes = [node("start", "manual_trigger"), node("ask", "human_in_the_loop"), node("out", "output")]
    return document(nodes, "start.trigger -> ask.input; ask.approved -> out.value")


def caller(machines: Machines) -> Run:
    return machines.until(machines.start(twice(), {"n": 1}))


def asked(machines: Machines, above: Run, workflow_id: str = "wf-double", key: str = "k", **more: Any) -> Any:
    wanted = {"caller": above.id, "occasion": key, "wait_seconds": 20, **more}
    return ShortRuns(machines.tenant).run(workflow_id, wanted.pop("version", None), {"n": 21}, **wanted)


def test_its_output_is_the_result(machines: Machines, publish) -> None:
    publish(twice(), "wf-double")
    above = caller(machines)
    ended = asked(machines, above)
    assert (ended.status, ended.output) == ("completed", 42)
    run = machines.store.get(ended.execution_id)
    assert (run.triggered_by["kind"], run.triggered_by["id"], run.depth) == ("tool", above.id, 1)


def test_the_same_occasion_is_the_same_run(machines: Machines, publish) -> None:
    publish(twice(), "wf-double")
    above = caller(machines)
    first, again, other = (asked(machines, above, key=k).execution_id for k in ("a", "a", "b"))
    assert (first == again, first == other) == (True, False)


def test_one_that_takes_longer_is_found_again(machines: Machines, publish, remote: Service) -> None:
    nodes = [node("start", "manual_trigger"), post("slow", remote.base), node("out", "output")]
    publish(document(nodes, "start.trigger -> slow.body; slow.status -> out.value"), "wf-slow")
    above = caller(machines)
    gate = remote.hold("/slow")
    assert asked(machines, above, "wf-slow", wait_seconds=0.2) is None
    gate.open.set()
    ended = asked(machines, above, "wf-slow")
    assert (ended.status, ended.output, remote.count()["/slow"]) == ("completed", 200, 1)


def test_a_later_attempt_does_not_get_the_failure_of_an_earlier_one(
    machines: Machines, publish, remote: Service
) -> None:
    nodes = [node("start", "manual_trigger"), post("call", remote.base), node("out", "output")]
    publish(document(nodes, "start.trigger -> call.body; call.status -> out.value"), "wf-call")
    above = caller(machines)
    remote.fail("/call")
    failed, again, kept = (asked(machines, above, "wf-call") for _ in range(3))
    assert (failed.status, failed.error["error"], again.status) == ("failed", "HttpError", "completed")
    assert (again.execution_id, remote.count()["/call"]) == (kept.execution_id, 2)


def test_what_is_refused(machines: Machines, publish) -> None:
    above = caller(machines)
    with pytest.raises(NotFound):
        asked(machines, above)
    publish(twice(), "wf-double")
    with pytest.raises(NotFound):
        asked(machines, above, version=2)
    publish(asking(), "wf-asking")
    with pytest.raises(Conflict) as caught:
        asked(machines, above, "wf-asking")
    assert caught.value.code == "not_short"


def test_a_canary_that_is_not_short_gets_none_of_these_runs(
    machines: Machines, publish, owner: SignedUp, tenant: Tenant
) -> None:
    publish(asking(), "wf-double")
    who = Principal(tenant, "user", owner.user.id, "owner", user_id=owner.user.id)
    workflows.put(who, "wf-double", twice().model_copy(update={"id": "wf-double"}), None)
    publish_workflow(tenant, who, "wf-double", None)
    canary.begin(who, "wf-double", 1, weight=100, max_failure_rate=1, min_runs=1, window_seconds=60)
    ended = asked(machines, caller(machines))
    assert (ended.status, ended.output, machines.store.get(ended.execution_id).version) == ("completed", 42, 2)


def test_another_tenants_workflow_is_not_there(machines: Machines, publish, other_tenant: Tenant) -> None:
    publish(twice(), "wf-double")
    above = caller(machines)
    with pytest.raises(NotFound):
        ShortRuns(other_tenant).run("wf-double", None, {}, caller=above.id, occasion="k", wait_seconds=1)


def test_workflows_that_call_themselves_come_to_an_end(machines: Machines, publish, monkeypatch) -> None:
    publish(twice(), "wf-double")
    above = caller(machines)
    monkeypatch.setattr(short_runs, "MAX_DEPTH", 1)
    with pytest.raises(Conflict) as caught:
        asked(machines, above)
    assert caught.value.code == "too_deep"


def test_data_that_is_none(machines: Machines, publish) -> None:
    publish(twice(), "wf-double")
    above = caller(machines)
    with pytest.raises(Invalid):
        ShortRuns(machines.tenant).run("wf-double", None, float("nan"), caller=above.id, occasion="k", wait_seconds=1)


def test_a_node_calls_it_as_a_tool(machines: Machines, publish, owner) -> None:
    publish(twice(), "wf-double")
    who = Principal(machines.tenant, "user", owner.user.id, "owner", user_id=owner.user.id)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    tool = WorkflowTool(name="double", kind="workflow", workflow_id="wf-double", input_schema=schema)
    create(who, "tools", tool)
    nodes = [
        node("start", "manual_trigger"),
        node("call", "function_call", inputs={"name": "double"}),
        node("out", "output"),
    ]
    made = document(nodes, "start.trigger -> call.args; call.result -> out.value")
    run = machines.until(machines.start(made, {"n": 21}))
    assert (run.status, machines.value(run.final_output)) == ("completed", 42)
    failed = machines.until(machines.start(made, {"n": "x"}))
    assert failed.error is not None
    assert (failed.status, failed.error["error"]) == ("failed", "InvalidArguments")
