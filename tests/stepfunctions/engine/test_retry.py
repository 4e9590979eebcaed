"""Retry of a run goes on from what failed; what is recorded is kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.clock import now_ms
from shared.errors import Conflict, Unavailable
from shared.runs.store import RunStore
from shared.tasks.service import TaskService
from stepfunctions import control
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.faults import Service
from tests.stepfunctions.engine.test_kill import post
from tests.stepfunctions.engine.test_pause import asking, row
from tests.stepfunctions.engine.watch import answer, comes_to, wait_for


def failed(machines: Machines, run, node_id: str, error: str = "HttpError"):
    ended = machines.until(run)
    assert ended.error is not None
    assert (ended.status, ended.error["node_id"], ended.error["error"]) == ("failed", node_id, error)
    return ended


def retried(machines: Machines, run, status: str = "completed"):
    again = control.retry(machines.tenant, run.id)
    assert (again.status, again.error, again.completed_at) == ("pending", None, None)
    ended = machines.until(run)
    assert ended.status == status, ended.error
    return ended


@pytest.mark.parametrize("granularity", ["segment", "node"])
def test_from_the_failed_node(machines: Machines, remote: Service, granularity: str):
    remote.fail("/b", times=2)
    run = machines.start(row(remote.base, granularity))
    failed(machines, run, "b")
    kept = machines.records(run)["", "a"]
    for attempt in (1, 2):  # the first fails again
        ended = retried(machines, run, "failed" if attempt == 1 else "completed")
        assert ended.attempt == attempt
    assert machines.value(ended.final_output) == 200
    assert remote.count() == {"/a": 1, "/b": 3, "/c": 1}
    assert machines.records(run)["", "a"] == kept
    assert machines.records(run)["", "b"].attempts == 3
    assert [remote.done(run.id, "", n) for n in ("a", "b", "c")] == [1, 3, 1]  # the keys have not changed
    with pytest.raises(Conflict):
        control.retry(machines.tenant, run.id)


def test_every_attempt_has_the_same_time(machines: Machines, remote: Service, monkeypatch: pytest.MonkeyPatch):
    remote.fail("/b", times=2)
    run = machines.start(row(remote.base))
    failed(machines, run, "b")
    for days, status in ((3, "failed"), (8, "completed")):
        later = now_ms() + days * 86_400_000
        monkeypatch.setattr(control, "now_ms", lambda later=later: later)
        assert retried(machines, run, status).deadline == later + run.deadline - run.created_at


@pytest.mark.parametrize("lanes", [1, 3])
def test_of_one_item_in_a_loop(machines: Machines, remote: Service, lanes: int):
    remote.fail("/two/3")
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"result": "nodes.two.status + item", "max_concurrency": lanes}),
            post("one", remote.base, "one/{{ item }}", parent="each"),
            node("both", "transform", {"expression": "nodes.one.status"}, parent="each"),
            post("two", remote.base, "two/{{ item }}", parent="each"),
            node("out", "output"),
        ],
        "start.trigger -> each.items; both.output -> two.body; each.results -> out.value",
    )
    run = machines.start(made, list(range(6)))
    failed(machines, run, "each")
    before = remote.count()
    ended = retried(machines, run)
    assert machines.value(ended.final_output) == [200, 201, 202, 203, 204, 205]
    after = remote.count()
    assert after["/two/3"] == 2
    # What the failure stopped in the middle is done again; with one lane, nothing was.
    assert {p for p, n in after.items() if n > 1} <= ({"/two/3"} if lanes == 1 else set(before))
    assert max(after.values()) == 2
    assert {r.status for r in machines.records(run).values()} == {"completed"}


def test_of_a_pure_node_in_a_loop(machines: Machines, remote: Service):
    """A pure node is computed again from what is recorded — here with the same failure."""
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop"),
            post("one", remote.base, "one/{{ item }}", parent="each"),
            node("bad", "transform", {"expression": "item = 1 ? $number('x') : nodes.one.status"}, parent="each"),
            node("out", "output"),
        ],
        "start.trigger -> each.items; one.status -> bad.input; each.results -> out.value",
    )
    run = machines.start(made, [0, 1, 2])
    failed(machines, run, "each", "ExpressionError")
    retried(machines, run, "failed")
    failed(machines, run, "each", "ExpressionError")
    assert remote.count() == {"/one/0": 1, "/one/1": 1}


def test_of_a_pure_node(machines: Machines, remote: Service):
    """Fails as long as a service says so; what it says lies before it."""
    remote.bodies["/a"] = b'"seven"'
    made = document(
        [
            node("start", "manual_trigger"),
            post("a", remote.base),
            node("n", "transform", {"expression": "$number(nodes.a.response)"}),
            node("out", "output"),
        ],
        "n.output -> out.value",
    )
    run = machines.start(made)
    failed(machines, run, "n", "ExpressionError")
    retried(machines, run, "failed")
    failed(machines, run, "n", "ExpressionError")
    assert remote.count() == {"/a": 1}


def test_keeps_what_a_loop_put_up_with(machines: Machines, remote: Service):
    remote.fail("/one/1")
    remote.fail("/b")
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"on_item_error": "null", "result": "nodes.one.status"}),
            post("one", remote.base, "one/{{ item }}", parent="each"),
            node("broken", "loop", on_error="continue"),
            post("two", remote.base, "status", parent="broken"),
            post("b", remote.base),
            node("out", "output"),
        ],
        """start.trigger -> each.items; each.results -> broken.items; broken.results -> b.body
        each.results -> out.value""",
    )
    remote.fail("/status")
    run = machines.start(made, [0, 1, 2])
    failed(machines, run, "b")
    before = {key: r for key, r in machines.records(run).items() if key[1] != "b"}
    ended = retried(machines, run)
    assert machines.value(ended.final_output) == [200, None, 200]
    assert {key: machines.records(run)[key] for key in before} == before
    assert remote.count() == {"/one/0": 1, "/one/1": 1, "/one/2": 1, "/status": 1, "/b": 2}


@pytest.mark.parametrize(
    ("config", "rests"),
    [
        ({}, False),
        ({}, True),
        ({"max_concurrency": 3}, True),
        ({"mode": "distributed"}, False),
        ({"mode": "distributed"}, True),
    ],
)
def test_of_items_of_which_too_many_failed(machines: Machines, remote: Service, config, rests: bool):
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"on_item_error": "null", "tolerated_failures": 2, "result": "item", **config}),
            post("one", remote.base, "{{ item }}", parent="each"),
            *([node("rest", "delay", {"until": "2001-01-01T00:00:00Z"}, parent="each")] if rests else []),
            post("two", remote.base, "{{ item }}/two", parent="each"),
            node("out", "output"),
        ],
        f"""start.trigger -> each.items; each.results -> out.value
        one.status -> {"rest.input; rest.output -> " if rests else ""}two.body""",
    )
    bad = ["/1/two", "/2", "/4"]
    for path in bad:
        remote.fail(path)
    run = machines.start(made, list(range(6)))
    failed(machines, run, "each", "TooManyFailures")
    before = remote.count()
    ended = retried(machines, run)
    assert machines.value(ended.final_output) == list(range(6))
    after = remote.count()
    assert {path: after[path] for path in before} == {p: 2 if p in bad else 1 for p in before}
    assert after.keys() - before.keys() <= {"/2/two", "/4/two", "/5", "/5/two"}


@pytest.mark.parametrize("deaths", [1, 2, 3])
def test_by_a_retry_that_dies_half_way(machines: Machines, remote: Service, monkeypatch, deaths: int):
    config = {"on_item_error": "null", "tolerated_failures": 2, "result": "item"}
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", config),
            post("one", remote.base, "{{ item }}", parent="each"),
            node("out", "output"),
        ],
        "start.trigger -> each.items; each.results -> out.value",
    )
    for path in ("/1", "/2", "/3"):
        remote.fail(path)
    run = machines.start(made, list(range(5)))
    failed(machines, run, "each", "TooManyFailures")
    reset, done = RunStore.reset_node, []

    def dying(*args):
        if len(done) == deaths:
            raise Unavailable("the table is away")
        done.append(reset(*args))

    monkeypatch.setattr(RunStore, "reset_node", dying)
    with pytest.raises(Unavailable):
        control.retry(machines.tenant, run.id)
    monkeypatch.setattr(RunStore, "reset_node", reset)
    assert machines.value(retried(machines, run).final_output) == list(range(5))


def test_of_a_question_that_lapsed(machines: Machines, remote: Service, owner):
    run = machines.start(asking(remote.base, timeout_seconds=1))
    failed(machines, run, "ask", "Timeout")
    control.retry(machines.tenant, run.id)
    answer(machines, run, owner.user.id, "ask")  # asked anew
    ended = machines.until(run)
    assert (ended.status, remote.count()) == ("completed", {"/before": 1, "/after": 1})
    statuses = sorted(status for _, status in TaskService(machines.tenant)._tasks.of_run(run.id))
    assert statuses == ["completed", "lapsed"]


def beside(base: str):
    return document(
        [
            node("start", "manual_trigger"),
            node("ask", "human_in_the_loop"),
            node("rest", "delay", {"ms": 1_001}),
            post("a", base),
            node("all", "merge"),
            node("out", "output"),
        ],
        """start.trigger -> ask.input; start.trigger -> rest.input; rest.output -> a.body; a.status -> all.inputs
        ask.approved -> all.inputs; all.output -> out.value""",
    )


def test_asks_a_question_again_that_is_still_open(machines: Machines, remote: Service, owner):
    """Its run's end withdraws it, whether the event of that or the retry is there first."""
    remote.fail("/a")
    run = machines.start(beside(remote.base))
    task = wait_for(lambda: machines.open_tasks(run).get("ask"), "asked")
    failed(machines, run, "a")
    control.retry(machines.tenant, run.id)
    wait_for(lambda: machines.statuses(run).get("a") == "completed", "the other branch is through")
    comes_to(machines, run, "paused", "human_input")
    assert machines.open_tasks(run)["ask"].id != task.id
    assert TaskService(machines.tenant).get(task.id)[0].status == "cancelled"
    answer(machines, run, owner.user.id, "ask")
    assert machines.until(run).status == "completed"


def test_keeps_an_answer_that_nobody_came_to_use(machines: Machines, remote: Service, owner):
    remote.fail("/a")
    gate = remote.hold("/a")
    run = machines.start(beside(remote.base))
    assert gate.arrived.wait(20)
    answer(machines, run, owner.user.id, "ask")
    gate.open.set()
    failed(machines, run, "a")
    ended = retried(machines, run)
    status, given = machines.value(ended.final_output)
    assert (status, given["decision"]) == (200, "approved")
    assert len(TaskService(machines.tenant)._tasks.of_run(run.id)) == 1


def test_keeps_a_timer_that_was_armed(machines: Machines, remote: Service):
    remote.fail("/a")
    made = document(
        [
            node("start", "manual_trigger"),
            post("a", remote.base),
            node("rest", "delay", {"ms": 3_000}),
            node("out", "output"),
        ],
        "start.trigger -> rest.input; rest.output -> out.value; start.trigger -> a.body",
    )
    run = machines.start(made, 1)
    failed(machines, run, "a")
    ended = retried(machines, run)
    record = machines.records(run)["", "rest"]
    assert machines.value(ended.final_output) == 1
    assert machines.value(record.outputs["elapsed"]) < 4_500


@pytest.mark.parametrize("state", ["in flight", "asked", "parked"])
def test_after_cancel(machines: Machines, remote: Service, owner, monkeypatch: pytest.MonkeyPatch, state: str):
    monkeypatch.setattr("stepfunctions.engine.control._LOOK_SECONDS", 0)
    gate = remote.hold("/before")
    run = machines.start(asking(remote.base))
    assert gate.arrived.wait(20)
    if state == "parked":
        control.pause(machines.tenant, run.id)
    if state != "in flight":
        gate.open.set()
        comes_to(machines, run, "paused", "human_input" if state == "asked" else "requested")
    control.cancel(machines.tenant, run.id)
    again = control.retry(machines.tenant, run.id)
    assert (again.status, again.attempt, machines.store.parked(run.id)) == ("pending", 1, [])
    gate.open.set()
    answer(machines, run, owner.user.id, "ask")
    assert machines.until(run).status == "completed"
    assert remote.count() == {"/before": 1, "/after": 1}  # also what was in flight: its call came to its end


def test_stopped_in_the_middle_and_not_to_be_repeated(machines: Machines, remote: Service):
    """A failure beside it stops a node in flight. Nobody knows whether it had its effect, so it says so first."""
    gate = remote.hold("/pay")
    remote.fail("/a")
    held = remote.hold("/a")
    made = document(
        [node("start", "manual_trigger"), post("pay", remote.base, idempotent=False), post("a", remote.base)],
        "start.trigger -> pay.body; start.trigger -> a.body",
    )
    run = machines.start(made)
    assert gate.arrived.wait(20)
    assert held.arrived.wait(20)
    held.open.set()
    failed(machines, run, "a")
    assert machines.statuses(run)["pay"] == "cancelled"
    gate.open.set()
    retried(machines, run, "failed")
    failed(machines, run, "pay", "Interrupted")
    assert remote.count()["/pay"] == 1
    retried(machines, run)  # whoever retries now knows
    assert remote.count()["/pay"] == 2


def test_two_at_once(machines: Machines, remote: Service):
    remote.fail("/b")
    run = machines.start(row(remote.base))
    failed(machines, run, "b")

    def retry() -> bool:
        try:
            control.retry(machines.tenant, run.id)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = [f.result(20) for f in [pool.submit(retry) for _ in range(4)]]
    assert machines.until(run).status == "completed"
    assert sum(won) == 1
    assert remote.count() == {"/a": 1, "/b": 2, "/c": 1}


def test_a_late_one_takes_nothing_back(machines: Machines, remote: Service):
    """Two retries at once: the slower one meets what the quicker one's execution has begun."""
    remote.fail("/b")
    run = machines.start(row(remote.base))
    failed(machines, run, "b")
    store = machines.store
    (seen,) = store.journal(run.id, "J##N#b")
    retried(machines, run)
    store.reset_node(run.id, machines.records(run)["", "b"], seen)
    assert machines.records(run)["", "b"].status == "completed"


def test_of_what_runs_or_is_complete(machines: Machines, remote: Service):
    gate = remote.hold("/a")
    run = machines.start(row(remote.base))
    assert gate.arrived.wait(20)
    with pytest.raises(Conflict):
        control.retry(machines.tenant, run.id)
    gate.open.set()
    machines.until(run)
    with pytest.raises(Conflict):
        control.retry(machines.tenant, run.id)
