"""`while_loop` and `retry` under the same faults as loops."""

from __future__ import annotations

import pytest

from shared.clock import now_ms
from stepfunctions.engine import repeats
from stepfunctions.engine.errors import NodeFailed, TimeSlice
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.conftest import Bench
from tests.stepfunctions.engine.faults import Moment, Service, Time, Wire
from tests.stepfunctions.engine.test_kill import killed_everywhere, post
from tests.stepfunctions.engine.test_retry import failed, retried
from tests.stepfunctions.engine.test_time_slices import Hourglass, sliced


def counting(base: str, most: int = 100, **fields):
    """Passes that count to `trigger`, each with a side effect."""
    return document(
        [
            node("start", "manual_trigger"),
            node(
                "count", "while_loop", {"condition": "state < trigger", "max_iterations": most}, inputs={"initial": 0}
            ),
            post("tick", base, "tick/{{ iteration }}", parent="count", **fields),
            node("next", "transform", {"expression": "state + (nodes.tick.status = 200 ? 1 : 0)"}, parent="count"),
            node("out", "output"),
            node("passes", "output"),
        ],
        "tick.status -> next.input; count.state -> out.value; count.iterations -> passes.value",
    )


def trying(base: str, retries: int = 3, pause: float = 0, **fields):
    """A body of two side effects, tried as a whole."""
    return document(
        [
            node("start", "manual_trigger"),
            node("again", "retry", {"max_retries": retries, "interval_seconds": pause, "result": "nodes.b.status"}),
            post("a", base, parent="again", **fields),
            post("b", base, parent="again", **fields),
            node("out", "output"),
        ],
        "start.trigger -> again.input; again.input -> a.body; a.status -> b.body; again.output -> out.value",
    )


def test_the_condition_is_checked_before_the_first_pass(bench: Bench, remote: Service):
    run = bench.start(counting(remote.base), 0)
    bench.through(run)
    assert (bench.output(run), remote.count()) == ({"out": 0, "passes": 0}, {})


@pytest.mark.parametrize(("most", "passes"), [(3, 3), (2, 2)])
def test_no_more_passes_than_allowed(bench: Bench, remote: Service, most: int, passes: int):
    run = bench.start(counting(remote.base, most), 3)
    if most == 3:
        assert bench.through(run).status == "completed"
    else:
        with pytest.raises(NodeFailed):
            bench.call(run)
        error = bench.get(run).error
        assert error is not None
        assert (error["node_id"], error["error"]) == ("count", "MaxIterations")
    assert sum(remote.count().values()) == passes


def test_passes_go_on_in_the_next_call(bench: Bench, remote: Service):
    run = bench.start(counting(remote.base, timeout_seconds=10, idempotent=False), 30)
    assert sliced(bench, run, Hourglass(remote)) > 2
    assert bench.output(run) == {"out": 30, "passes": 30}
    assert [remote.done(run.id, f"count/{i}", "tick") for i in range(30)] == [1] * 30


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_every_boundary(bench: Bench, remote: Service, wire: Wire, time_: Time, moment: Moment):
    ticks, a, b = counting(remote.base), trying(remote.base), ("again/0", "a")
    for at, run in enumerate(killed_everywhere(bench, wire, ticks, moment, trigger=2)):
        done_before = {key for key, r in bench.records(run).items() if r.status == "completed"}
        if not bench.get(run).ended:
            bench.through(run, time_)
        assert bench.output(run) == {"out": 2, "passes": 2}, at
        for scope in ("count/0", "count/1"):
            done = remote.done(run.id, scope, "tick")
            assert done == 1 if (scope, "tick") in done_before else 1 <= done <= 2, (at, scope)
    wire.reset()
    for at, run in enumerate(killed_everywhere(bench, wire, a, moment)):
        done_before = {key for key, r in bench.records(run).items() if r.status == "completed"}
        if not bench.get(run).ended:
            bench.through(run, time_)
        assert bench.output(run) == 200, at
        assert remote.done(run.id, *b) == 1 if b in done_before else remote.done(run.id, *b) <= 2, at


def test_the_whole_body_is_tried_again(bench: Bench, remote: Service):
    remote.fail("/b", times=2)
    run = bench.start(trying(remote.base), "x")
    bench.through(run)
    assert bench.output(run) == 200
    assert remote.count() == {"/a": 3, "/b": 3}
    # Each pass is a run of its own of every node in it, so each has an idempotency key of its own.
    assert [remote.done(run.id, f"again/{i}", "a") for i in range(3)] == [1, 1, 1]


def test_the_last_failure_is_the_bodys(bench: Bench, remote: Service):
    remote.fail("/b", times=9)
    run = bench.start(trying(remote.base, retries=1), "x")
    with pytest.raises(NodeFailed):
        bench.call(run)
    error = bench.get(run).error
    assert error is not None
    assert (error["node_id"], error["error"]) == ("again", "HttpError")
    assert "pass 2 of 2" in error["message"]
    assert remote.count() == {"/a": 2, "/b": 2}


def test_a_pause_longer_than_a_call(bench: Bench, remote: Service, monkeypatch: pytest.MonkeyPatch):
    remote.fail("/b", times=1)
    run = bench.start(trying(remote.base, pause=1_000), "x")
    with pytest.raises(TimeSlice):
        bench.call(run, remaining=Hourglass(remote, seconds=60, each=26).turned())
    assert remote.count() == {"/a": 1, "/b": 1}
    later = now_ms() + 1_001_000
    monkeypatch.setattr(repeats, "now_ms", lambda: later)
    monkeypatch.setattr("stepfunctions.engine.dataflow.now_ms", lambda: later)
    bench.call(run)
    assert (bench.output(run), remote.count()) == (200, {"/a": 2, "/b": 2})


def test_a_failed_run_goes_on_within_the_pass(machines: Machines, remote: Service):
    remote.fail("/tick/2", times=1)
    run = machines.start(counting(remote.base), 4)
    failed(machines, run, "count")
    ended = retried(machines, run)
    assert machines.value(ended.final_output) == {"out": 4, "passes": 4}
    assert remote.count() == {"/tick/0": 1, "/tick/1": 1, "/tick/2": 2, "/tick/3": 1}


def test_a_failed_retry_may_be_retried(machines: Machines, remote: Service):
    remote.fail("/b", times=2)
    run = machines.start(trying(remote.base, retries=1), "x")
    failed(machines, run, "again")
    ended = retried(machines, run)
    assert machines.value(ended.final_output) == 200
    assert remote.count()["/b"] == 3


def test_loops_of_every_kind_in_each_other(bench: Bench, remote: Service):
    remote.fail("/deep", times=1)
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop"),
            node("grow", "while_loop", {"condition": "state < item"}, parent="each", inputs={"initial": 0}),
            node("again", "retry", {"interval_seconds": 0}, parent="grow"),
            post("deep", remote.base, parent="again"),
            node("more", "transform", {"expression": "state + $floor(nodes.deep.status / 200)"}, parent="again"),
            node("out", "output"),
        ],
        "start.trigger -> each.items; deep.status -> more.input; each.results -> out.value",
    )
    run = bench.start(made, [2, 0, 1])
    bench.through(run)
    assert bench.output(run) == [2, 0, 1]
    assert remote.count() == {"/deep": 4}


@pytest.mark.parametrize(
    ("type_name", "config", "port", "given", "out", "expected"),
    [
        ("loop", {"result": "inputs.items[0] + item"}, "items", [1, 2], "results", [2, 3]),
        ("while_loop", {"condition": "state < inputs.initial + 2"}, "initial", 5, "state", 7),
        ("retry", {"result": "inputs.input"}, "input", 9, "output", 9),
    ],
)
def test_a_containers_expressions_read_its_inputs(bench: Bench, type_name, config, port, given, out, expected):
    made = document(
        [
            node("start", "manual_trigger"),
            node("c", type_name, config),
            node(
                "up",
                "transform",
                {"expression": "state + 1"} if "while" in type_name else {"expression": "1"},
                parent="c",
            ),
            node("o", "output"),
        ],
        f"start.trigger -> c.{port}; c.{out} -> o.value",
    )
    run = bench.start(made, given)
    bench.call(run)
    assert bench.output(run) == expected
