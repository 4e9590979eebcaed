"""A call that runs out of time stops at a node boundary; the next one goes on, and runs nothing again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from shared.clock import now_ms
from shared.runs.model import NodeRecord
from stepfunctions.engine import dataflow
from stepfunctions.engine.errors import Busy, TimeSlice
from stepfunctions.engine.journal import Journal, records_of
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.engine.conftest import Bench
from tests.stepfunctions.engine.faults import Service, Time
from tests.stepfunctions.engine.test_kill import post


@dataclass
class Hourglass:
    """A call's time, of which every request to the service takes its part."""

    remote: Service
    seconds: float = 100
    each: float = 10

    def turned(self) -> Callable[[], float]:
        before = len(self.remote.seen)
        return lambda: self.seconds - self.each * (len(self.remote.seen) - before)


def sliced(bench: Bench, run, glass: Hourglass) -> int:
    """Make the calls that it takes; gives how many those were."""
    for number in range(1, 100):
        try:
            bench.call(run, remaining=glass.turned())
        except TimeSlice:
            continue
        return number
    raise AssertionError("no end to it")


def test_thirty_in_a_row(bench: Bench, remote: Service):
    names = [f"n{i}" for i in range(30)]
    wires = [f"{a}.status -> {b}.body" for a, b in zip(["start", *names], names, strict=False)]
    wires[0] = "start.trigger -> n0.body"
    made = document(
        [
            node("start", "manual_trigger"),
            *(post(n, remote.base, timeout_seconds=10) for n in names),
            node("o", "output"),
        ],
        "\n".join([*wires, "n29.status -> o.value"]),
    )
    run = bench.start(made)
    assert sliced(bench, run, Hourglass(remote)) == 4  # eight of ten seconds, with twenty in reserve
    assert bench.output(run) == 200
    assert [remote.done(run.id, "", n) for n in names] == [1] * 30
    assert {r.attempts for (_, n), r in bench.records(run).items() if n in names} == {1}


@pytest.mark.parametrize("lanes", [1, 4])
def test_a_loop_of_sixty(bench: Bench, remote: Service, lanes: int):
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"max_concurrency": lanes, "result": "nodes.double.output & nodes.second.status"}),
            post("first", remote.base, parent="each", idempotent=False, timeout_seconds=10),
            node("double", "transform", {"expression": "item * 2"}, parent="each"),
            post("second", remote.base, parent="each", idempotent=False, timeout_seconds=10),
            node("out", "output"),
        ],
        """start.trigger -> each.items; first.status -> double.input; double.output -> second.body
        each.results -> out.value""",
    )
    run = bench.start(made, list(range(60)))
    assert sliced(bench, run, Hourglass(remote)) >= 10
    assert bench.output(run) == [f"{2 * i}200" for i in range(60)]
    assert bench.records(run)["", "each"].attempts == 1
    for name in ("first", "second"):
        assert [remote.done(run.id, f"each/{i}", name) for i in range(60)] == [1] * 60


@pytest.mark.parametrize(
    ("tolerance", "wanted"), [("null", [None, "ok", None, "ok", None, "ok"]), ("skip", ["ok", "ok", "ok"])]
)
def test_failed_items_stay_failed_in_later_calls(bench: Bench, remote: Service, tolerance: str, wanted):
    for odd in (0, 2, 4):
        remote.fail(f"/item/{odd}", times=5)
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"on_item_error": tolerance, "result": "'ok'"}),
            post("one", remote.base, "item/{{ item }}", parent="each", timeout_seconds=10),
            node("out", "output"),
        ],
        "start.trigger -> each.items; each.results -> out.value",
    )
    run = bench.start(made, list(range(6)))
    assert sliced(bench, run, Hourglass(remote, 50)) > 1
    assert bench.output(run) == wanted
    assert set(remote.count().values()) == {1}


def test_a_loop_that_computes_for_longer_than_a_call(bench: Bench):
    """Nothing in it touches the world; it goes on all the same where the call before stopped."""
    made = document(
        [
            node("start", "manual_trigger"),
            node("outer", "loop"),
            node("inner", "while_loop", {"condition": "iteration < 20"}, parent="outer"),
            node("up", "transform", {"expression": "state + 1"}, parent="inner"),
            node("o", "output"),
        ],
        "start.trigger -> outer.items; outer.item -> inner.initial; outer.results -> o.value",
    )
    run = bench.start(made, [1, 2, 3, 4])
    calls = 0
    while not bench.get(run).ended:
        left = iter(range(100, 0, -4))
        with contextlib.suppress(TimeSlice):
            bench.call(run, remaining=lambda left=left: float(next(left, 0)))
        calls += 1
        assert calls < 20
    assert bench.output(run) == [21, 22, 23, 24]
    assert calls > 2
    recorded = [(r.scope, r.node) for i in bench.store.journal(run.id, "J#") for r in records_of(i) if r.node == "up"]
    assert len(recorded) == len(set(recorded)) == 80


def test_a_loop_in_a_loop(bench: Bench, remote: Service):
    made = document(
        [
            node("start", "manual_trigger"),
            node("outer", "loop"),
            node("inner", "loop", {"result": "item * nodes.one.status"}, parent="outer"),
            post("one", remote.base, parent="inner", timeout_seconds=10),
            node("out", "output"),
        ],
        "start.trigger -> outer.items; outer.item -> inner.items; outer.results -> out.value",
    )
    run = bench.start(made, [[1, 2, 3], [4, 5], [], [6, 7, 8, 9]])
    assert sliced(bench, run, Hourglass(remote, 40)) > 2
    assert bench.output(run) == [[200, 400, 600], [800, 1000], [], [1200, 1400, 1600, 1800]]
    assert sum(remote.count().values()) == 9


def test_a_call_with_hardly_any_time_does_one_thing_at_least(bench: Bench, remote: Service):
    names = ["a", "b", "c"]
    made = document(
        [node("start", "manual_trigger"), *(post(n, remote.base) for n in names)],
        "start.trigger -> a.body; a.status -> b.body; b.status -> c.body",
    )
    run = bench.start(made)
    assert sliced(bench, run, Hourglass(remote, seconds=4, each=3)) == 3
    assert remote.count() == {"/a": 1, "/b": 1, "/c": 1}


def test_a_node_that_would_be_cut_off_is_left_to_the_next_call(bench: Bench, remote: Service):
    made = document(
        [
            node("start", "manual_trigger"),
            post("quick", remote.base),
            post("pay", remote.base, idempotent=False, timeout_seconds=60),
        ],
        "start.trigger -> quick.body; quick.status -> pay.body",
    )
    run = bench.start(made)
    with pytest.raises(TimeSlice):
        bench.call(run, remaining=Hourglass(remote, seconds=200, each=140).turned())  # 60 seconds are left for `pay`
    assert remote.count() == {"/quick": 1}
    bench.call(run)
    assert remote.count() == {"/quick": 1, "/pay": 1}


def test_a_long_pause_between_two_attempts_outlives_the_call(bench: Bench, remote: Service, monkeypatch):
    """Attempts are counted and the moment is kept, however many calls pass over it."""
    ahead = 0
    monkeypatch.setattr("stepfunctions.engine.execute.now_ms", lambda: now_ms() + ahead)
    monkeypatch.setattr("stepfunctions.engine.dataflow.now_ms", lambda: now_ms() + ahead)
    monkeypatch.setattr(dataflow, "_LOOK_SECONDS", 0.01)
    remote.fail("/a", times=3)
    policy = {"max_attempts": 3, "interval_seconds": 1_000, "backoff_rate": 2, "max_interval_seconds": 3_600}
    made = document([node("start", "manual_trigger"), post("a", remote.base, retry=policy, idempotent=False)])
    run = bench.start(made)
    for attempts, pause in ((1, 1_000), (2, 2_000), (3, 3_600)):
        for _ in range(2):  # called again too early: it goes on resting
            with pytest.raises(TimeSlice):
                bench.call(run, remaining=iter([300.0, 300.0, *[1.0] * 9]).__next__)
            assert sum(remote.count().values()) == attempts
        record = bench.records(run)["", "a"]
        assert (record.status, record.attempts, record.tries_left) == ("pending", attempts, 3 - attempts)
        assert record.until is not None
        assert pause - 10 < (record.until - now_ms() - ahead) / 1000 <= pause
        ahead += pause * 1000
    bench.call(run)
    record = bench.records(run)["", "a"]
    assert (record.status, record.attempts, record.until, record.tries_left) == ("completed", 4, None, None)


def test_what_is_busy_keeps_nothing_else_from_finishing(bench: Bench, remote: Service, time_: Time):
    """One of two nodes is held by a call that died; the other one, in flight and not to be repeated, is not cut off."""
    made = document(
        [
            node("start", "manual_trigger"),
            post("held", remote.base),
            post("pay", remote.base, idempotent=False),
        ],
        "start.trigger -> held.body; start.trigger -> pay.body",
    )
    run = bench.start(made)
    Journal(bench.store, run.id, "dead").claim(NodeRecord("held", "", "running"))
    with pytest.raises(Busy):
        bench.call(run)
    assert bench.records(run)["", "pay"].status == "completed"
    time_.pass_lease()
    bench.call(run)
    assert (bench.get(run).status, remote.count()) == ("completed", {"/held": 1, "/pay": 1})
