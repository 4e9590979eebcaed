"""The same call delivered twice: at once, after it is over, and much later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.tasks.service import TaskService
from stepfunctions import calls
from stepfunctions.engine import dataflow, journal
from stepfunctions.engine.errors import Busy, Stopped
from stepfunctions.plan import Asking
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.engine.conftest import Bench
from tests.stepfunctions.engine.faults import Service, Time
from tests.stepfunctions.engine.test_kill import post


def steps(base: str, **fields):
    """Two side effects one after the other, two beside each other; a call for each of them."""
    return document(
        [
            node("start", "manual_trigger"),
            post("a", base),
            post("b", base),
            post("left", base),
            post("right", base),
            node("all", "merge"),
            node("out", "output"),
        ],
        """start.trigger -> a.body; a.status -> b.body; b.status -> left.body; b.status -> right.body
        left.status -> all.inputs; right.status -> all.inputs; all.output -> out.value""",
        settings={"granularity": "node", **fields},
    )


def in_thread(pool: ThreadPoolExecutor, work: Callable[[], object]):
    def run():
        try:
            return work()
        finally:
            calls.close()

    return pool.submit(run)


def test_the_second_waits_for_what_the_first_has_in_flight(bench: Bench, remote: Service):
    run = bench.start(steps(remote.base))
    gate = remote.hold("/a")
    with ThreadPoolExecutor(1) as pool:
        first = in_thread(pool, lambda: bench.call(run, 0))
        assert gate.arrived.wait(10)
        with pytest.raises(Busy):
            bench.call(run, 0)
        gate.open.set()
        assert first.result(10) == bench.call(run, 0)
    assert remote.done(run.id, "", "a") == 1
    assert bench.records(run)["", "a"].attempts == 1


@pytest.mark.parametrize("granularity", ["node", "segment"])
def test_every_call_twice_at_once(bench: Bench, remote: Service, granularity: str):
    run = bench.start(steps(remote.base, granularity=granularity))
    barrier = threading.Barrier(2)

    def all_calls():
        given = []
        for segment in bench.plan(run).segments:
            barrier.wait(10)
            while True:
                try:
                    given.append(bench.call(run, segment.id))
                except Busy:
                    continue
                except Stopped:  # the other one was the one to end the run
                    assert bench.get(run).status == "completed"
                    given.append({"until": []})
                break
        return given

    with ThreadPoolExecutor(2) as pool:
        first, second = in_thread(pool, all_calls), in_thread(pool, all_calls)
        assert first.result(20) == second.result(20)
    assert bench.output(run) == [200, 200]
    assert {name: remote.done(run.id, "", name) for name in ("a", "b", "left", "right")} == dict.fromkeys(
        ("a", "b", "left", "right"), 1
    )


def test_a_late_one_changes_nothing(bench: Bench, remote: Service):
    run = bench.start(steps(remote.base))
    *segments, last = bench.plan(run).segments
    for segment in segments:
        bench.call(run, segment.id)
    before = bench.records(run)
    for segment in segments:
        bench.call(run, segment.id)
    assert (bench.records(run), bench.get(run).status) == (before, "running")
    bench.call(run, last.id)
    ended = bench.get(run)
    for segment in (*segments, last):
        with pytest.raises(Stopped):
            bench.call(run, segment.id)
    assert bench.get(run) == ended
    assert set(remote.count().values()) == {1}


def test_another_plan_of_the_run_is_refused(bench: Bench, remote: Service):
    run, other = bench.start(steps(remote.base)), bench.start(document([node("start", "manual_trigger")]))
    event = {"run": bench.envelope(run) | {"plan": other.plan}, "segment": 0}
    with pytest.raises(Stopped):
        calls.segment_call(event, owner="x", remaining=lambda: 300.0)
    assert not remote.seen


def test_a_question_asked_by_two_calls_at_once_is_one_task(bench: Bench):
    run = bench.start(document([node("start", "manual_trigger"), node("ask", "human_in_the_loop")]))
    assert isinstance(bench.plan(run).questions[0], Asking)
    barrier = threading.Barrier(2)

    def ask(token: str):
        barrier.wait(10)
        event = {"run": bench.envelope(run), "question": 0, "token": token}
        calls.token_call(event, owner=token, remaining=lambda: 300.0)

    with ThreadPoolExecutor(2) as pool:
        for each in [in_thread(pool, lambda n=n: ask(f"token-{n}")) for n in range(2)]:
            each.result(20)
    (task,) = TaskService(bench.tenant).open_tasks(run.id)
    assert bench.records(run)["", "ask"].task == task.id
    assert (bench.get(run).status, bench.get(run).pause_reason) == ("paused", "human_input")


def test_a_timer_armed_by_two_calls_has_one_moment(bench: Bench):
    run = bench.start(
        document(
            [node("start", "manual_trigger"), node("rest", "delay", {"ms": 60_000})], "start.trigger -> rest.input"
        )
    )
    barrier = threading.Barrier(2)

    def arm():
        barrier.wait(10)
        return bench.call(run, 0)["until"]

    with ThreadPoolExecutor(2) as pool:
        first, second = in_thread(pool, arm), in_thread(pool, arm)
        assert first.result(10) == second.result(10)


def test_the_lease_is_kept_as_long_as_the_node_runs(bench: Bench, remote: Service, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(journal, "LEASE_MS", 300)
    monkeypatch.setattr(dataflow, "RENEW_SECONDS", 0.05)
    run = bench.start(steps(remote.base))
    gate = remote.hold("/a")
    with ThreadPoolExecutor(1) as pool:
        first = in_thread(pool, lambda: bench.call(run, 0))
        assert gate.arrived.wait(10)
        leases = {item["lease"] for item in bench.store.journal(run.id, "J##N#a")}
        while len(leases) < 10:  # renewed for longer than one lease would have lasted
            leases |= {item["lease"] for item in bench.store.journal(run.id, "J##N#a")}
            with pytest.raises(Busy):
                bench.call(run, 0)
        gate.open.set()
        first.result(10)
    assert max(leases) - min(leases) > 300
    assert remote.done(run.id, "", "a") == 1


def test_who_lost_the_lease_records_nothing(bench: Bench, remote: Service, time_: Time):
    run = bench.start(steps(remote.base))
    gate = remote.hold("/a")
    with ThreadPoolExecutor(1) as pool:
        first = in_thread(pool, lambda: bench.call(run, 0, owner="slow"))
        assert gate.arrived.wait(10)
        time_.pass_lease()  # the first call hangs, and renews nothing
        del remote.gates["/a"]
        remote.bodies["/a"] = b'"second"'
        bench.call(run, 0, owner="quick")
        kept = bench.records(run)["", "a"]
        remote.bodies["/a"] = b'"first"'
        gate.open.set()
        with pytest.raises(Busy):
            first.result(10)
    assert bench.records(run)["", "a"] == kept
    assert bench.value(kept.outputs["response"]) == "second"
