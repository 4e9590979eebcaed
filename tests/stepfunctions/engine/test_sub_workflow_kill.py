"""Calls about a child that are killed at every boundary there is: one child, and its end is not lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from shared.aws import kms, states
from shared.clock import now_ms
from shared.ids import ulid
from shared.runs.model import Run
from shared.runs.store import RunStore
from shared.tasks.service import TaskService
from shared.tenancy import Principal, Tenant
from shared.workflows import service as workflows
from stepfunctions import calls, control
from stepfunctions.children import Children
from stepfunctions.ending import call_off, seal, tell, unseal
from stepfunctions.engine.errors import NodeFailed, Stopped
from stepfunctions.reconcile import ended, sweep
from stepfunctions.release import publish_workflow
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.engine.conftest import Bench
from tests.stepfunctions.engine.faults import Killed, Moment, Service, Strike, Wire
from tests.stepfunctions.engine.sub_workflows import ASKING, DOUBLE, calling
from tests.stepfunctions.engine.test_kill import post

both = pytest.mark.parametrize("moment", ["before", "after"])


def publish(bench: Bench, made: Any, workflow_id: str) -> str:
    who = Principal(bench.tenant, "user", "us_1", "owner", user_id="us_1")
    workflows.create(who, made.model_copy(update={"id": workflow_id}))
    publish_workflow(bench.tenant, who, workflow_id, None)
    return workflow_id


def ask(bench: Bench, run: Run, token: str) -> None:
    """The call of the state that waits for the child."""
    event = {"run": bench.envelope(run), "question": 0, "token": token}
    calls.token_call(event, owner=ulid(), remaining=lambda: 300.0)


def children(bench: Bench, run: Run) -> list[Run]:
    """The children of a run, by all there is of their workflow."""
    page = bench.store.page("below", start=None, limit=100)
    found = [bench.store.shape(item) for item in page.items]
    return [r for r in found if (r.parent or {})["execution_id"] == run.id]


def end_of(bench: Bench, run: Run, status: str) -> dict[str, Any]:
    """The event with which Step Functions tells that a run's execution has ended."""
    return {"name": bench.get(run).execution_name, "status": status, "input": json.dumps(bench.envelope(run))}


def killed_everywhere(
    wire: Wire, moment: Moment, prepare: Callable[[], Run], work: Callable[[Run], None]
) -> Iterator[Run]:
    """A run for each boundary of this work, killed there."""
    for at in count():
        run = prepare()
        wire.reset(Strike(at, moment))
        try:
            work(run)
        except Killed:
            wire.reset()
            yield run
        else:
            wire.reset()
            assert at > 3
            return


@both
def test_a_call_that_starts_a_child(bench: Bench, wire: Wire, moment: Moment):
    publish(bench, DOUBLE, "below")
    made = calling("below")
    for run in killed_everywhere(wire, moment, lambda: bench.start(made, 4), lambda r: ask(bench, r, "first")):
        ask(bench, run, "second")
        (child,) = children(bench, run)
        (link,) = bench.store.waited_for(run.id)
        assert unseal(bench.tenant, run.id, child.id, link.token or b"") == "second"
        bench.call(child)
        assert ended(end_of(bench, child, "SUCCEEDED")) == "closed_already"
        assert bench.store.waited_for(run.id) == []
        bench.call(run)
        assert bench.output(run) == 8


@both
def test_a_call_that_retries_a_child(bench: Bench, wire: Wire, remote: Service, moment: Moment):
    below = document(
        [node("start", "manual_trigger"), post("a", remote.base), post("b", remote.base), node("out", "output")],
        "start.trigger -> a.body; a.status -> b.body; b.status -> out.value",
    )
    made = calling(publish(bench, below, "below"))

    def failed() -> Run:
        remote.fail("/b")
        run = bench.start(made)
        ask(bench, run, "first")
        (child,) = children(bench, run)
        for each in (child, run):
            with pytest.raises(NodeFailed):
                bench.call(each)
        return control.retry(bench.tenant, run.id)

    for run in killed_everywhere(wire, moment, failed, lambda r: ask(bench, r, "second")):
        ask(bench, run, "third")
        (child,) = children(bench, run)
        assert (child.status, child.attempt) == ("pending", 1)
        bench.call(child)
        bench.call(run)
        assert bench.output(run) == 200
        assert [remote.done(child.id, "", n) for n in ("a", "b")] == [1, 2]


@both
def test_the_event_of_a_childs_end(bench: Bench, wire: Wire, moment: Moment):
    made = calling(publish(bench, DOUBLE, "below"))

    def done() -> Run:
        run = bench.start(made, 4)
        ask(bench, run, "token")
        (child,) = children(bench, run)
        bench.call(child)
        return run

    def event(run: Run) -> None:
        ended(end_of(bench, children(bench, run)[0], "SUCCEEDED"))

    for run in killed_everywhere(wire, moment, done, event):
        (child,) = children(bench, run)
        left = len(bench.store.waited_for(run.id))
        bench.store.look_at_child(run.id, child.id, now_ms() - 1)
        assert sweep(lambda: 60.0) == ({"told": 1} if left else {})
        assert bench.store.waited_for(run.id) == []
        bench.call(run)
        assert bench.output(run) == 8


@both
def test_a_call_that_gives_a_child_up(bench: Bench, wire: Wire, moment: Moment):
    made = calling(publish(bench, DOUBLE, "below"))

    def asked() -> Run:
        run = bench.start(made, 4)
        ask(bench, run, "token")
        return run

    def lapsed(run: Run) -> None:
        with pytest.raises(NodeFailed):
            bench.call(run)

    for run in killed_everywhere(wire, moment, asked, lapsed):
        if not bench.get(run).ended:
            lapsed(run)
        assert (bench.get(run).error or {})["error"] == "Timeout"
        (child,) = children(bench, run)
        assert child.status == "cancelled"


def test_a_child_asked_for_when_its_parent_is_ending(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """The parent is cancelled after the call has begun, and before it has written the link."""
    made = calling(publish(bench, DOUBLE, "below"))
    run = bench.start(made, 4)

    def meanwhile(*arguments: Any) -> bytes:
        control.cancel(bench.tenant, run.id)
        return seal(*arguments)

    monkeypatch.setattr("stepfunctions.children.seal", meanwhile)
    ask(bench, run, "token")
    (child,) = children(bench, run)
    assert (child.status, (child.error or {})["error"]) == ("cancelled", "ParentEnded")
    with pytest.raises(Stopped):
        bench.call(child)
    assert sweep(lambda: 60.0) == {"told": 1}  # it stops the execution, which the call may not
    described = states.describe_execution(child.machine, child.execution_name)
    assert (described or {})["status"] == "ABORTED"


def test_a_child_that_failed_is_not_retried_because_its_parent_goes_on_in_another_execution(
    bench: Bench, remote: Service
):
    remote.fail("/b")
    below = document([node("start", "manual_trigger"), post("b", remote.base), node("out", "output")])
    run = bench.start(calling(publish(bench, below, "below")))
    ask(bench, run, "first")
    (child,) = children(bench, run)
    with pytest.raises(NodeFailed):
        bench.call(child)
    assert bench.store.hand_over(bench.get(run)) is not None
    ask(bench, run, "second")
    assert (bench.store.waited_for(run.id), bench.get(child).attempt) == ([], 0)
    with pytest.raises(NodeFailed):
        bench.call(run)
    assert (bench.get(run).error or {})["error"] == "ChildFailed"


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED"])
def test_however_a_run_ends_its_children_do_too(bench: Bench, status: str):
    run = bench.start(calling(publish(bench, calling("nowhere"), "below")))
    ask(bench, run, "token")
    (child,) = children(bench, run)
    ended(end_of(bench, run, status))
    for _ in range(2):  # the event comes twice
        assert bench.get(child).status == "cancelled"
        assert bench.store.waited_for(run.id) == []
        ended(end_of(bench, run, status))


def test_a_child_that_is_deleted_before_its_result_is_read(bench: Bench):
    run = bench.start(calling(publish(bench, DOUBLE, "below")), 4)
    ask(bench, run, "token")
    (child,) = children(bench, run)
    bench.store.delete(child.id)
    bench.store.look_at_child(run.id, child.id, now_ms() - 1)
    assert sweep(lambda: 60.0) == {"gone": 1}
    with pytest.raises(NodeFailed):
        bench.call(run)
    assert "was deleted" in (bench.get(run).error or {})["message"]


def test_a_child_that_is_retried_before_its_result_is_read_is_left_alone(bench: Bench, remote: Service):
    remote.fail("/b")
    below = document([node("start", "manual_trigger"), post("b", remote.base), node("out", "output")])
    run = bench.start(calling(publish(bench, below, "below")))
    ask(bench, run, "token")
    (child,) = children(bench, run)
    with pytest.raises(NodeFailed):
        bench.call(child)
    ended(end_of(bench, child, "FAILED"))
    control.retry(bench.tenant, child.id)
    with pytest.raises(NodeFailed):
        bench.call(run)
    assert "retried by itself" in (bench.get(run).error or {})["message"]
    assert bench.get(child).status == "pending"


def test_a_child_belongs_to_its_tenant(bench: Bench, tenant: Tenant):
    """Nothing is told, and no token opened, in the name of another tenant."""
    run = bench.start(calling(publish(bench, DOUBLE, "below")), 4)
    ask(bench, run, "token")
    (child,) = children(bench, run)
    (link,) = bench.store.waited_for(run.id)
    with pytest.raises(kms.Undecryptable):
        unseal(tenant, run.id, child.id, link.token or b"")
    tell(tenant, child)
    assert bench.store.waited_for(run.id) == [link]
    assert Children(tenant, run.id).ended(child.id) is not None  # lost, as one that was never there
    assert not bench.get(child).ended


def cancelled_with_its_child(bench: Bench) -> tuple[Run, Run, dict[str, Any]]:
    """A run, its child, and the event of the child's end, which is late."""
    run = bench.start(calling(publish(bench, DOUBLE, "below")), 4)
    ask(bench, run, "first")
    (child,) = children(bench, run)
    control.cancel(bench.tenant, run.id)
    return run, child, end_of(bench, child, "ABORTED")


def test_a_late_word_of_how_a_child_ended_is_not_its_end_when_it_is_being_retried(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    """The event comes after the call has written the link, and before it has retried the child."""
    run, child, late = cancelled_with_its_child(bench)
    sent: list[str] = []
    monkeypatch.setattr(states, "send_success", sent.append)
    control.retry(bench.tenant, run.id)

    def meanwhile(*arguments: Any) -> Run:
        assert ended(late) == "closed_already"
        bench.store.look_at_child(run.id, child.id, now_ms() - 1)
        assert sweep(lambda: 60.0) == {"goes_on": 1}
        return control.retry(*arguments)

    monkeypatch.setattr("stepfunctions.children.retry", meanwhile)
    ask(bench, run, "second")
    assert sent == []
    bench.call(child)
    ended(end_of(bench, child, "SUCCEEDED"))
    assert sent == ["second"]
    bench.call(run)
    assert bench.output(run) == 8


def test_a_retry_of_a_child_that_died_halfway_is_not_looked_at_for_ever(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    run, child, _ = cancelled_with_its_child(bench)
    control.retry(bench.tenant, run.id)

    def dies(*_: Any) -> Run:
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr("stepfunctions.children.retry", dies)
        with pytest.raises(Killed):
            ask(bench, run, "second")
    for minutes, done in ((1, "goes_on"), (20, "gone")):
        later = now_ms() + minutes * 60_000
        monkeypatch.setattr("stepfunctions.ending.now_ms", lambda now=later: now)
        bench.store.look_at_child(run.id, child.id, now_ms() - 1)
        assert sweep(lambda: 60.0)[done] == 1
    assert bench.store.waited_for(run.id) == []


def test_a_late_word_of_how_a_run_ended_leaves_the_children_of_its_next_attempt_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    """Whoever winds up is slow: right after it has looked which attempt the run is in, the run is retried."""
    run = bench.start(calling(publish(bench, DOUBLE, "below")), 4)
    ask(bench, run, "first")
    (child,) = children(bench, run)
    ended_run = bench.store.close(run.id, "failed")
    assert ended_run is not None
    look, retried = RunStore.get, []

    def meanwhile(store: RunStore, execution_id: str, **arguments: Any) -> Run:
        found = look(store, execution_id, **arguments)
        if execution_id == run.id and not retried:
            retried.append(execution_id)
            control.retry(bench.tenant, run.id)
            ask(bench, run, "second")
        return found

    with monkeypatch.context() as slow:
        slow.setattr(RunStore, "get", meanwhile)
        call_off(bench.tenant, ended_run)
    assert (retried, bench.get(child).status, bench.get(child).attempt) == ([run.id], "pending", 1)


def test_a_late_word_of_how_a_run_ended_leaves_the_questions_of_its_next_attempt_alone(bench: Bench):
    run = bench.start(ASKING)
    tasks = TaskService(bench.tenant)
    ask(bench, run, "first")
    (first,) = tasks.open_tasks(run.id)
    ended_run = bench.store.close(run.id, "failed")
    assert ended_run is not None
    control.retry(bench.tenant, run.id)  # before the event has come, by which the question is withdrawn
    assert tasks.get(first.id)[0].status == "cancelled"
    ask(bench, run, "second")
    call_off(bench.tenant, ended_run)
    (second,) = tasks.open_tasks(run.id)
    assert second.id != first.id
