"""Sub-workflows inside containers: each pass has a child of its own."""

from __future__ import annotations

from shared.tenancy import Tenant
from stepfunctions import control
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.faults import Service
from tests.stepfunctions.engine.sub_workflows import DOUBLE, Publish, failure, runs_of
from tests.stepfunctions.engine.test_kill import post
from tests.stepfunctions.events import EventBridge


def each(workflow_id: str, lanes: int = 1):
    """Runs another workflow for each item."""
    return document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"max_concurrency": lanes}),
            node("call", "sub_workflow", {"workflow_id": workflow_id}, parent="each"),
            node("out", "output"),
        ],
        "start.trigger -> each.items; each.item -> call.input; each.results -> out.value",
    )


def test_every_item_has_a_child_of_its_own(machines: Machines, events: EventBridge, publish: Publish):
    run = machines.start(each(publish(DOUBLE, "double"), lanes=3), [1, 2, 3])
    ended = machines.until(run)
    assert (ended.status, machines.value(ended.final_output)) == ("completed", [2, 4, 6]), ended.error
    parents = {(r.parent or {})["scope"]: r for r in runs_of(machines, "double")}
    assert sorted(parents) == ["each/0", "each/1", "each/2"]
    for scope, child in parents.items():
        assert machines.records(run)[scope, "call"].child == child.id
    assert machines.store.waited_for(run.id) == []


def test_a_retry_goes_on_in_the_pass_whose_child_has_failed(
    machines: Machines, events: EventBridge, publish: Publish, tenant: Tenant, remote: Service
):
    remote.fail("/b")
    below = document(
        [node("start", "manual_trigger"), post("a", remote.base), post("b", remote.base), node("out", "output")],
        "start.trigger -> a.body; a.status -> b.body; b.status -> out.value",
    )
    run = machines.start(each(publish(below, "below")), [1, 2])
    assert failure(machines, run)[0] == "ChildFailed"
    control.retry(tenant, run.id)
    ended = machines.until(run)
    assert (ended.status, machines.value(ended.final_output)) == ("completed", [200, 200]), ended.error
    assert remote.count() == {"/a": 2, "/b": 3}
    assert len(runs_of(machines, "below")) == 2
