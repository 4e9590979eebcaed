"""Sub-workflows when something goes wrong on the way: twice, killed, lost, cancelled, paused, retried."""

from __future__ import annotations

from typing import Any

import pytest

from functions.tasks.handler import handler as tasks
from shared.aws import states
from shared.aws.clients import client
from shared.members.service import SignedUp
from shared.settings import settings
from shared.tasks.service import TaskService
from shared.tenancy import Tenant
from stepfunctions import control
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.faults import Service
from tests.stepfunctions.engine.sub_workflows import (
    ASKING,
    DOUBLE,
    Publish,
    calling,
    child_of,
    failure,
    look_now,
    runs_of,
    swept,
)
from tests.stepfunctions.engine.test_kill import post
from tests.stepfunctions.engine.watch import answer, comes_to, execution_ends, parked, wait_for
from tests.stepfunctions.events import EventBridge


def everything() -> str:
    """All items of the table, as text."""
    return repr(client("dynamodb").scan(TableName=settings().table)["Items"])


# --- twice, killed, lost ---------------------------------------------------------------------------------------------


def test_a_call_made_twice_starts_one_child(machines: Machines, events: EventBridge, publish: Publish):
    tokens: list[str] = []

    def twice(event: dict[str, Any], context: Any) -> None:
        tokens.append(event["token"])
        tasks(event, context)
        tasks(event, context)

    machines.functions.handlers["tasks"] = twice
    run = machines.start(calling(publish(DOUBLE, "double")), 5)
    assert machines.value(machines.until(run).final_output) == 10
    assert len(runs_of(machines, "double")) == len(tokens) == 1
    assert tokens[0] not in everything()


@pytest.mark.parametrize("done_first", [False, True])
def test_a_call_that_dies_leaves_its_child_to_the_next(
    machines: Machines, events: EventBridge, publish: Publish, done_first: bool
):
    """The state calls again, with another token: also when the child has ended by then."""
    tokens: list[str] = []

    def dying(event: dict[str, Any], context: Any) -> None:
        tokens.append(event["token"])
        tasks(event, context)
        if len(tokens) == 1:
            if done_first:
                machines.until(child_of(machines, run))
            raise RuntimeError("killed")

    machines.functions.handlers["tasks"] = dying
    run = machines.start(calling(publish(DOUBLE, "double")), 5)
    assert machines.value(machines.until(run).final_output) == 10
    assert (len(tokens), len(runs_of(machines, "double"))) == (2, 1)
    assert machines.store.waited_for(run.id) == []


def test_an_end_that_no_event_tells_of_is_told_by_the_sweeper(
    machines: Machines, events: EventBridge, publish: Publish
):
    events.lost = True
    run = machines.start(calling(publish(DOUBLE, "double")), 5)
    child = child_of(machines, run)
    machines.until(child)
    execution_ends(machines, child)
    assert swept() == {}
    assert machines.store.get(run.id).status == "running"
    look_now(machines, run, child)
    assert swept() == {"told": 1}
    assert machines.value(machines.until(run).final_output) == 10
    look_now(machines, run, child)  # nothing is due any more
    assert swept() == {}


def test_a_token_that_could_not_be_sent_is_sent_later(
    machines: Machines, events: EventBridge, publish: Publish, monkeypatch: pytest.MonkeyPatch
):
    events.lost = True
    run = machines.start(calling(publish(DOUBLE, "double")), 5)
    child = child_of(machines, run)
    machines.until(child)
    look_now(machines, run, child)
    with monkeypatch.context() as broken:
        broken.setattr(states, "send_success", lambda _token: (_ for _ in ()).throw(ConnectionError("down")))
        assert swept() == {"trouble": 1}
    assert swept() == {}
    look_now(machines, run, child)
    assert swept() == {"told": 1}
    assert machines.until(run).status == "completed"


def test_a_child_that_goes_on_is_left_alone_and_looked_at_again(
    machines: Machines, events: EventBridge, publish: Publish, tenant: Tenant
):
    run = machines.start(calling(publish(ASKING, "asking")))
    child = child_of(machines, run)
    wait_for(lambda: machines.open_tasks(child), "asked")
    look_now(machines, run, child)
    assert swept() == {"goes_on": 1}
    assert swept() == {}
    control.cancel(tenant, run.id)


def test_the_child_of_a_run_that_ended_unseen_is_cancelled(
    machines: Machines, events: EventBridge, publish: Publish, stopped: list[str]
):
    """Whoever closed the parent died before it came to the child."""
    events.lost = True
    run = machines.start(calling(publish(ASKING, "asking")))
    child = child_of(machines, run)
    wait_for(lambda: machines.open_tasks(child), "asked")
    machines.store.close(run.id, "cancelled")
    look_now(machines, run, child)
    assert swept() == {"told": 1}
    assert machines.store.get(child.id).status == "cancelled"
    assert machines.open_tasks(child) == {}
    assert stopped == [child.execution_name]


# --- cancel, pause, retry --------------------------------------------------------------------------------------------


def test_cancel_reaches_every_run_below_and_retry_takes_all_up_again(
    machines: Machines,
    events: EventBridge,
    publish: Publish,
    tenant: Tenant,
    owner: SignedUp,
    stopped: list[str],
):
    publish(ASKING, "asking")
    run = machines.start(calling(publish(calling("asking"), "between")))
    between = child_of(machines, run)
    asking = child_of(machines, between)
    task = wait_for(lambda: machines.open_tasks(asking), "asked")["ask"]
    control.cancel(tenant, run.id)
    for each in (run, between, asking):
        assert machines.store.get(each.id).status == "cancelled"
    assert sorted(stopped) == sorted(each.execution_name for each in (run, between, asking))
    assert TaskService(tenant).get(task.id)[0].status == "cancelled"
    control.retry(tenant, run.id)
    answer(machines, asking, owner.user.id, "ask")
    ended = machines.until(run)
    assert (ended.status, machines.value(ended.final_output)["decision"]) == ("completed", "approved"), ended.error
    assert len(runs_of(machines, "between")) == len(runs_of(machines, "asking")) == 1


def test_a_run_that_fails_elsewhere_cancels_its_children(
    machines: Machines, events: EventBridge, publish: Publish, remote: Service
):
    gate = remote.hold("/boom")
    remote.fail("/boom")
    made = calling(publish(ASKING, "asking"), node("rest", "delay", {"ms": 1_100}), post("boom", remote.base))
    wires = document([], "start.trigger -> rest.input; rest.output -> boom.body").connections
    renamed = [w.model_copy(update={"id": f"more{i}"}) for i, w in enumerate(wires)]
    run = machines.start(made.model_copy(update={"connections": [*made.connections, *renamed]}))
    child = child_of(machines, run)
    assert gate.arrived.wait(20)
    gate.open.set()
    assert failure(machines, run)[0] == "HttpError"
    ended = machines.until(child)
    assert (ended.status, (ended.error or {})["error"]) == ("cancelled", "ParentEnded")


def test_a_paused_parent_lets_its_child_go_on_and_keeps_the_answer(
    machines: Machines, events: EventBridge, publish: Publish, tenant: Tenant, owner: SignedUp
):
    run = machines.start(calling(publish(ASKING, "asking")))
    child = child_of(machines, run)
    wait_for(lambda: machines.open_tasks(child), "asked")
    control.pause(tenant, run.id)
    answer(machines, child, owner.user.id, "ask")
    assert machines.until(child).status == "completed"
    comes_to(machines, run, "paused", "requested")
    wait_for(lambda: parked(machines, run), "parked")
    control.resume(tenant, run.id)
    ended = machines.until(run)
    assert machines.value(ended.final_output)["decision"] == "approved"


def test_a_retry_goes_on_in_the_child_where_that_has_failed(
    machines: Machines, events: EventBridge, publish: Publish, tenant: Tenant, remote: Service
):
    remote.fail("/b", times=2)
    below = document(
        [node("start", "manual_trigger"), post("a", remote.base), post("b", remote.base), node("out", "output")],
        "start.trigger -> a.body; a.status -> b.body; b.status -> out.value",
    )
    run = machines.start(calling(publish(below, "below")))
    assert failure(machines, run)[0] == "ChildFailed"
    child = child_of(machines, run)
    for _ in range(2):
        execution_ends(machines, run)
        control.retry(tenant, run.id)
        ended = machines.until(run)
    assert (ended.status, machines.value(ended.final_output)) == ("completed", 200), ended.error
    assert remote.count() == {"/a": 1, "/b": 3}
    assert (machines.store.get(child.id).attempt, len(runs_of(machines, "below"))) == (2, 1)
    assert machines.records(run)["", "call"].attempts == 3


def test_a_child_that_was_retried_by_itself_is_taken_as_it_is(
    machines: Machines, events: EventBridge, publish: Publish, tenant: Tenant, remote: Service
):
    remote.fail("/b")
    below = document(
        [node("start", "manual_trigger"), post("b", remote.base), node("out", "output")],
        "start.trigger -> b.body; b.status -> out.value",
    )
    run = machines.start(calling(publish(below, "below")))
    assert failure(machines, run)[0] == "ChildFailed"
    child = child_of(machines, run)
    control.retry(tenant, child.id)
    assert machines.until(child).status == "completed"
    assert machines.store.get(run.id).status == "failed"
    control.retry(tenant, run.id)
    assert machines.value(machines.until(run).final_output) == 200
    assert remote.count() == {"/b": 2}
