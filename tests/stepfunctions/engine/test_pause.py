"""Pause, resume and cancel at every kind of boundary, with what the run says of itself meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from functions.tasks.handler import handler as tasks
from shared.errors import Conflict
from shared.ids import new_id
from shared.tasks.service import TaskService
from stepfunctions import control
from stepfunctions.start import launch
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.faults import Service
from tests.stepfunctions.engine.test_kill import post
from tests.stepfunctions.engine.watch import answer, comes_to, execution_ends, parked, state_of, wait_for


@pytest.fixture(autouse=True)
def _prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call looks at the run before every node, and not just a few times a second: here a test depends on it."""
    monkeypatch.setattr("stepfunctions.engine.control._LOOK_SECONDS", 0)


def row(base: str, granularity: str = "segment"):
    names = ("a", "b", "c")
    return document(
        [node("start", "manual_trigger"), *(post(n, base) for n in names), node("out", "output")],
        "start.trigger -> a.body; a.status -> b.body; b.status -> c.body; c.status -> out.value",
        settings={"granularity": granularity},
    )


def asking(base: str, **config):
    return document(
        [
            node("start", "manual_trigger"),
            post("before", base),
            node("ask", "human_in_the_loop", config),
            post("after", base),
            node("out", "output"),
        ],
        """start.trigger -> before.body; before.status -> ask.input; ask.approved -> after.body
        after.status -> out.value""",
    )


def branches(base: str):
    """A question beside two side effects in a row, then one after both."""
    return document(
        [
            node("start", "manual_trigger"),
            node("ask", "human_in_the_loop"),
            node("rest", "delay", {"ms": 1_100}),
            post("late", base),
            post("later", base),
            node("second", "delay", {"ms": 1_100}),
            post("latest", base),
            node("all", "merge"),
            post("last", base),
            node("out", "output"),
        ],
        """start.trigger -> ask.input; start.trigger -> rest.input; rest.output -> late.body; late.status -> later.body
        later.status -> second.input; second.output -> latest.body; ask.approved -> all.inputs
        latest.status -> all.inputs; all.output -> last.body; last.status -> out.value""",
    )


@pytest.mark.parametrize("granularity", ["segment", "node"])
def test_between_two_nodes(machines: Machines, remote: Service, granularity: str):
    gate = remote.hold("/a")
    run = machines.start(row(remote.base, granularity))
    assert gate.arrived.wait(20)
    assert control.pause(machines.tenant, run.id).control == "pause"
    control.pause(machines.tenant, run.id)  # twice is once
    assert state_of(machines, run) == ("running", None)  # `a` finishes first
    gate.open.set()
    resting = comes_to(machines, run, "paused", "requested")
    assert (resting.control, len(parked(machines, run))) == ("pause", 1)
    assert machines.records(run)["", "a"].status == "completed"
    assert remote.count() == {"/a": 1}
    control.resume(machines.tenant, run.id)
    ended = machines.until(run)
    assert (ended.status, machines.value(ended.final_output), ended.pause_reason) == ("completed", 200, None)
    assert remote.count() == {"/a": 1, "/b": 1, "/c": 1}
    assert parked(machines, run) == []
    assert execution_ends(machines, run) == "SUCCEEDED"


def test_in_a_loop_lets_every_lane_finish_what_it_has_in_flight(machines: Machines, remote: Service):
    gates = [remote.hold(f"/item/{i}") for i in range(3)]
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"max_concurrency": 3}),
            post("one", remote.base, "item/{{ item }}", parent="each", idempotent=False),
            post("two", remote.base, "more/{{ item }}", parent="each", idempotent=False),
            node("out", "output"),
        ],
        "start.trigger -> each.items; one.status -> two.body; each.results -> out.value",
    )
    run = machines.start(made, list(range(6)))
    for gate in gates:
        assert gate.arrived.wait(20)
    control.pause(machines.tenant, run.id)
    for number, gate in enumerate(gates):
        gate.open.set()
        wait_for(lambda n=number: machines.records(run)[f"each/{n}", "one"].status == "completed", "recorded")
    comes_to(machines, run, "paused", "requested")
    assert {r.status for r in machines.records(run).values()} == {"completed", "pending"}
    assert machines.statuses(run)["each"] == "pending"
    control.resume(machines.tenant, run.id)
    ended = machines.until(run)
    assert (ended.status, len(machines.value(ended.final_output))) == ("completed", 6)
    assert set(remote.count().values()) == {1}
    assert len(remote.count()) == 12


def test_before_a_question(machines: Machines, remote: Service, owner):
    gate = remote.hold("/before")
    run = machines.start(asking(remote.base))
    assert gate.arrived.wait(20)
    control.pause(machines.tenant, run.id)
    gate.open.set()
    comes_to(machines, run, "paused", "requested")
    assert machines.open_tasks(run) == {}
    control.resume(machines.tenant, run.id)
    comes_to(machines, run, "paused", "human_input")
    answer(machines, run, owner.user.id, "ask")
    assert machines.until(run).status == "completed"
    assert remote.count() == {"/before": 1, "/after": 1}


def test_while_waiting_at_a_question(machines: Machines, remote: Service, owner):
    run = machines.start(asking(remote.base))
    comes_to(machines, run, "paused", "human_input")
    assert control.pause(machines.tenant, run.id).control == "pause"
    assert state_of(machines, run) == ("paused", "human_input")
    answer(machines, run, owner.user.id, "ask")  # the answer is taken, and kept
    comes_to(machines, run, "paused", "requested")
    assert remote.count() == {"/before": 1}
    control.resume(machines.tenant, run.id)
    assert machines.until(run).status == "completed"
    assert remote.count() == {"/before": 1, "/after": 1}


def test_paused_and_resumed_while_waiting_at_a_question(machines: Machines, remote: Service, owner):
    run = machines.start(asking(remote.base))
    comes_to(machines, run, "paused", "human_input")
    control.pause(machines.tenant, run.id)
    resumed = control.resume(machines.tenant, run.id)
    assert (resumed.status, resumed.pause_reason, resumed.control) == ("paused", "human_input", None)
    answer(machines, run, owner.user.id, "ask")
    assert machines.until(run).status == "completed"


def test_a_question_that_lapses_while_the_run_is_to_rest(machines: Machines, remote: Service):
    run = machines.start(asking(remote.base, timeout_seconds=1, on_timeout="approve"))
    comes_to(machines, run, "paused", "human_input")
    control.pause(machines.tenant, run.id)
    comes_to(machines, run, "paused", "requested")
    control.resume(machines.tenant, run.id)
    assert machines.until(run).status == "completed"
    assert remote.count()["/after"] == 1


@pytest.mark.parametrize(("policy", "status"), [("fail", "failed"), ("reject", "completed")])
def test_a_question_that_nothing_follows(machines: Machines, policy: str, status: str):
    """Nobody answers, and nothing waits for the answer: it is settled all the same."""
    made = document(
        [
            node("start", "manual_trigger"),
            node("ask", "human_in_the_loop", {"timeout_seconds": 1, "on_timeout": policy}),
        ]
    )
    run = machines.start(made)
    comes_to(machines, run, "paused", "human_input")
    ended = machines.until(run)
    assert (ended.status, ended.error and ended.error["error"]) == (status, "Timeout" if policy == "fail" else None)
    assert machines.statuses(run)["ask"] == status


def test_with_branches_side_by_side(machines: Machines, remote: Service, owner):
    gate = remote.hold("/late")
    run = machines.start(branches(remote.base))
    wait_for(lambda: machines.open_tasks(run), "asked")
    assert gate.arrived.wait(20)
    assert state_of(machines, run) == ("running", None)
    control.pause(machines.tenant, run.id)
    gate.open.set()
    comes_to(machines, run, "paused", "requested")
    assert remote.count() == {"/late": 1}
    control.resume(machines.tenant, run.id)
    comes_to(machines, run, "paused", "human_input")
    wait_for(lambda: remote.count()["/latest"], "the branch goes on to its end")
    comes_to(machines, run, "paused", "human_input")
    answer(machines, run, owner.user.id, "ask")
    assert machines.until(run).status == "completed"
    assert set(remote.count().values()) == {1}


@pytest.mark.parametrize("asked_at", [0, 2_100])
def test_a_question_beside_a_call_in_flight_is_no_rest(machines: Machines, remote: Service, owner, asked_at: int):
    """Whichever of the two begins first: the run rests once neither is at work."""
    gate = remote.hold("/late")
    made = document(
        [
            node("start", "manual_trigger"),
            *([node("before", "delay", {"ms": asked_at})] if asked_at else []),
            node("ask", "human_in_the_loop"),
            node("rest", "delay", {"ms": 1_100}),
            post("late", remote.base),
            node("out", "output"),
        ],
        f"""start.trigger -> {"before.input; before.output -> ask.input" if asked_at else "ask.input"}
        start.trigger -> rest.input; rest.output -> late.body; ask.approved -> out.value""",
    )
    run = machines.start(made)
    assert gate.arrived.wait(20)
    wait_for(lambda: machines.open_tasks(run), "asked")
    wait_for(lambda: machines.store.get(run.id).working == {"segment 1"}, "the question is asked")
    assert state_of(machines, run) == ("running", None)
    gate.open.set()
    comes_to(machines, run, "paused", "human_input")
    answer(machines, run, owner.user.id, "ask")
    assert machines.until(run).status == "completed"


def test_both_branches_parked(machines: Machines, remote: Service, owner):
    gate = remote.hold("/late")
    run = machines.start(branches(remote.base))
    wait_for(lambda: machines.open_tasks(run), "asked")
    assert gate.arrived.wait(20)
    control.pause(machines.tenant, run.id)
    answer(machines, run, owner.user.id, "ask")
    gate.open.set()
    comes_to(machines, run, "paused", "requested")
    control.resume(machines.tenant, run.id)
    assert machines.until(run).status == "completed"
    assert set(remote.count().values()) == {1}


def test_resumed_before_it_is_parked(machines: Machines, remote: Service):
    """The runner has found the run paused, and the parking state is on its way."""

    def late(event, context):
        del machines.functions.handlers["tasks"]
        control.resume(machines.tenant, run.id)
        return tasks(event, context)

    machines.functions.handlers["tasks"] = late
    gate = remote.hold("/a")
    run = machines.start(row(remote.base))
    assert gate.arrived.wait(20)
    control.pause(machines.tenant, run.id)
    gate.open.set()
    ended = machines.until(run)
    assert (ended.status, parked(machines, run)) == ("completed", [])
    assert set(remote.count().values()) == {1}


def test_paused_and_resumed_again_and_again(machines: Machines, remote: Service):
    """A token that was used is not to take the next one with it."""
    gates = {n: remote.hold(f"/{n}") for n in ("a", "b", "c")}
    run = machines.start(row(remote.base))
    for gate in gates.values():
        assert gate.arrived.wait(20)
        control.pause(machines.tenant, run.id)
        gate.open.set()
        if gate is not gates["c"]:
            comes_to(machines, run, "paused", "requested")
            control.resume(machines.tenant, run.id)
            comes_to(machines, run, "running")
    assert machines.until(run).status == "completed"  # nothing was left to be kept from starting
    assert set(remote.count().values()) == {1}


def test_a_used_token_is_forgotten_and_no_other(machines: Machines, remote: Service):
    store = machines.store
    run = machines.start(row(remote.base))
    machines.until(run)
    store.park(run.id, "segment.0", b"first", 0)
    store.park(run.id, "segment.0", b"second", 0)
    store.unpark(run.id, "segment.0", b"first")
    assert store.parked(run.id) == [("segment.0", b"second")]
    store.unpark(run.id, "segment.0", b"second")
    assert store.parked(run.id) == []


def test_a_resume_that_was_interrupted_can_be_repeated(machines: Machines, remote: Service):
    gate = remote.hold("/a")
    run = machines.start(row(remote.base))
    assert gate.arrived.wait(20)
    control.pause(machines.tenant, run.id)
    gate.open.set()
    comes_to(machines, run, "paused", "requested")
    machines.store.ask(run.id, None)  # all that the first one came to
    control.resume(machines.tenant, run.id)
    assert machines.until(run).status == "completed"


def test_what_has_ended_takes_no_orders(machines: Machines, remote: Service):
    run = machines.start(row(remote.base))
    ended = machines.until(run)
    for order in (control.pause, control.resume, control.cancel):
        with pytest.raises(Conflict):
            order(machines.tenant, run.id)
    assert machines.store.get(run.id) == ended


def test_resume_of_what_was_not_paused(machines: Machines, remote: Service):
    gate = remote.hold("/a")
    run = machines.start(row(remote.base))
    assert gate.arrived.wait(20)
    with pytest.raises(Conflict):
        control.resume(machines.tenant, run.id)
    gate.open.set()
    assert machines.until(run).status == "completed"


def cancelled(machines: Machines, run) -> None:
    """Cancel, and what must be true then, at once and for good."""
    done = control.cancel(machines.tenant, run.id)
    assert (done.status, done.control, done.pause_reason) == ("cancelled", None, None)
    with pytest.raises(Conflict):
        control.cancel(machines.tenant, run.id)
    assert machines.open_tasks(run) == {}


def test_cancel_while_a_node_runs(machines: Machines, remote: Service):
    gate = remote.hold("/a")
    run = machines.start(row(remote.base))
    assert gate.arrived.wait(20)
    cancelled(machines, run)
    gate.open.set()
    wait_for(lambda: machines.statuses(run).get("a") == "completed", "what was in flight is recorded")
    assert execution_ends(machines, run) in ("ABORTED", "FAILED")  # whichever comes first: the stop, or Stopped
    assert (state_of(machines, run), remote.count()) == (("cancelled", None), {"/a": 1})


def test_cancel_while_parked(machines: Machines, remote: Service):
    gate = remote.hold("/a")
    run = machines.start(row(remote.base))
    assert gate.arrived.wait(20)
    control.pause(machines.tenant, run.id)
    gate.open.set()
    comes_to(machines, run, "paused", "requested")
    cancelled(machines, run)
    assert (state_of(machines, run), remote.count()) == (("cancelled", None), {"/a": 1})


def test_cancel_while_waiting_for_an_answer(machines: Machines, remote: Service, owner):
    run = machines.start(asking(remote.base))
    comes_to(machines, run, "paused", "human_input")
    cancelled(machines, run)
    assert {status for _, status in TaskService(machines.tenant)._tasks.of_run(run.id)} == {"cancelled"}
    assert remote.count() == {"/before": 1}


def test_cancel_while_a_timer_runs(machines: Machines):
    made = document(
        [node("start", "manual_trigger"), node("rest", "delay", {"ms": 60_000})], "start.trigger -> rest.input"
    )
    run = machines.start(made)
    wait_for(lambda: machines.statuses(run).get("rest") == "paused", "armed")
    cancelled(machines, run)
    assert execution_ends(machines, run) == "ABORTED"


def test_cancel_before_anything_has_begun(machines: Machines, remote: Service):
    """The record is there, and the state machine's first call comes after the end."""
    done = machines.start(row(remote.base))
    machines.until(done)
    remote.seen.clear()
    run = replace(machines.store.get(done.id), id=new_id("ex"), status="pending", final_output=None)
    machines.store.create(run)
    cancelled(machines, run)
    launch(machines.tenant, run, ())
    assert execution_ends(machines, run) == "FAILED"
    assert (state_of(machines, run), remote.count()) == (("cancelled", None), {})


def test_a_cancel_that_was_interrupted_is_completed_by_the_next(machines: Machines, remote: Service):
    run = machines.start(asking(remote.base))
    comes_to(machines, run, "paused", "human_input")
    machines.store.close(run.id, "cancelled")  # all that the first one came to
    with pytest.raises(Conflict):
        control.cancel(machines.tenant, run.id)
    assert machines.open_tasks(run) == {}
