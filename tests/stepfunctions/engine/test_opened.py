"""Containers whose bodies rest: their passes are run by the state machine, and mean what they mean inline."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.aws import states
from shared.runs.model import Run
from stepfunctions import control
from stepfunctions.reconcile import ended
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.faults import Service
from tests.stepfunctions.engine.test_kill import post
from tests.stepfunctions.engine.watch import answer, comes_to, execution_ends, parked, state_of, wait_for

SHORT = "2001-01-01T00:00:00Z"  # a timer whose moment is past: a Wait state that passes at once


def wait(node_id: str, parent: str | None = None) -> dict[str, Any]:
    return node(node_id, "delay", {"until": SHORT}, parent=parent)


def looped(granularity: str = "segment", **config: Any):
    return document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", config),
            node("twice", "transform", {"expression": "item * 2"}, parent="each"),
            wait("rest", "each"),
            node("more", "transform", {"expression": "inputs.input + index"}, parent="each"),
            node("out", "output"),
        ],
        """start.trigger -> each.items; twice.output -> rest.input; rest.output -> more.input
        each.results -> out.value""",
        settings={"granularity": granularity},
    )


@pytest.mark.parametrize("granularity", ["segment", "node"])
@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("items", [[], [5], [1, 2, 3, 4]])
def test_a_loop_with_a_timer(machines: Machines, granularity: str, lanes: int, items: list[int]):
    run = machines.start(looped(granularity, max_concurrency=lanes), items)
    over = machines.until(run)
    assert (over.status, over.error) == ("completed", None)
    assert machines.value(over.final_output) == [2 * item + index for index, item in enumerate(items)]
    assert execution_ends(machines, run) == "SUCCEEDED"
    records = machines.records(run)
    assert {s for s, n in records if n == "more"} == {f"each/{i}" for i in range(len(items))}
    assert {r.status for r in records.values()} == {"completed"}


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize(("tolerance", "expected"), [("skip", [1, 3]), ("null", [1, None, 3]), ("fail", None)])
@pytest.mark.parametrize("where", ["node", "result"])
def test_an_item_that_fails(machines: Machines, lanes: int, tolerance: str, expected: Any, where: str):
    fails = "item = 2 ? $error('even') : item"
    config, expression = ({}, fails) if where == "node" else ({"result": fails}, "item")
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"max_concurrency": lanes, "on_item_error": tolerance, **config}),
            wait("rest", "each"),
            node("odd", "transform", {"expression": expression}, parent="each"),
            node("out", "output"),
            node("told", "output"),
        ],
        """start.trigger -> each.items; rest.output -> odd.input; each.results -> out.value
        each.error -> told.value""",
    )
    run = machines.start(made, [1, 2, 3])
    over = machines.until(run)
    assert over.status == "completed"
    found = machines.value(over.final_output)
    if tolerance == "fail":
        assert (found["node_id"], found["error"]) == ("each", "ExpressionError")
        assert "for item 1" in found["message"]
    else:
        assert found == expected


@pytest.mark.parametrize("lanes", [1, 2])
def test_an_item_that_fails_the_run(machines: Machines, remote: Service, lanes: int):
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"max_concurrency": lanes}),
            wait("rest", "each"),
            post("call", remote.base, "{{ item }}", parent="each"),
            node("out", "output"),
        ],
        "start.trigger -> each.items; rest.output -> call.body; each.results -> out.value",
    )
    remote.fail("/2", status=400)
    run = machines.start(made, [1, 2, 3])
    over = machines.until(run)
    assert (over.status, over.error and over.error["node_id"]) == ("failed", "each")
    control.retry(machines.tenant, run.id)
    over = machines.until(run)
    assert (over.status, machines.value(over.final_output)) == ("completed", [{"path": f"/{i}"} for i in (1, 2, 3)])
    assert remote.count() == {"/1": 1, "/2": 2, "/3": 1}


@pytest.mark.parametrize("granularity", ["segment", "node"])
def test_a_while_loop_with_a_timer(machines: Machines, granularity: str):
    made = document(
        [
            node("start", "manual_trigger"),
            node("loop", "while_loop", {"condition": "state < 20"}),
            node("add", "transform", {"expression": "state + iteration"}, parent="loop"),
            wait("rest", "loop"),
            node("one", "transform", {"expression": "inputs.input + 1"}, parent="loop"),
            node("out", "output"),
        ],
        """start.trigger -> loop.initial; add.output -> rest.input; rest.output -> one.input
        loop.state -> out.value""",
        settings={"granularity": granularity},
    )
    run = machines.start(made, 1)
    over = machines.until(run)
    expected, iteration = 1, 0
    while expected < 20:
        expected, iteration = expected + iteration + 1, iteration + 1
    assert (over.status, machines.value(over.final_output)) == ("completed", expected)
    assert machines.value(machines.records(run)["", "loop"].outputs["iterations"]) == iteration


def test_a_while_loop_that_does_not_end(machines: Machines):
    made = document(
        [
            node("start", "manual_trigger"),
            node("loop", "while_loop", {"condition": "true", "max_iterations": 3}),
            wait("rest", "loop"),
        ],
        "start.trigger -> loop.initial",
    )
    over = machines.until(machines.start(made, 1))
    assert (over.status, over.error and over.error["error"]) == ("failed", "MaxIterations")


def test_a_body_that_is_tried_again(machines: Machines, remote: Service):
    made = document(
        [
            node("start", "manual_trigger"),
            node("again", "retry", {"max_retries": 3, "interval_seconds": 0}),
            post("first", remote.base, parent="again"),
            wait("rest", "again"),
            post("second", remote.base, parent="again"),
            node("out", "output"),
        ],
        """start.trigger -> again.input; first.status -> rest.input; rest.output -> second.body
        again.output -> out.value""",
    )
    remote.fail("/second", times=2, status=400)
    run = machines.start(made)
    assert machines.until(run).status == "completed"
    assert remote.count() == {"/first": 3, "/second": 3}
    assert machines.records(run)["again/1", "second"].status == "failed"


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_question_for_each_item(machines: Machines, owner, lanes: int):
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"max_concurrency": lanes, "result": "nodes.ask.response.decision"}),
            node("ask", "human_in_the_loop", {"title": "{{ item }}?"}, parent="each"),
            node("out", "output"),
        ],
        "start.trigger -> each.items; each.item -> ask.input; each.results -> out.value",
    )
    run = machines.start(made, ["a", "b", "c"])
    for _ in range(3):
        comes_to(machines, run, "paused", "human_input")
        task = wait_for(lambda: machines.open_tasks(run).get("ask"), "asked")
        answer(machines, run, owner.user.id, "ask", "approve" if task.title == "b?" else "reject")
        wait_for(lambda t=task: t.id not in {o.id for o in machines.open_tasks(run).values()}, "answered")
        wait_for(lambda: machines.open_tasks(run) or machines.store.get(run.id).ended, "goes on")
    over = machines.until(run)
    assert machines.value(over.final_output) == ["rejected", "approved", "rejected"]


def test_containers_in_containers(machines: Machines):
    made = document(
        [
            node("start", "manual_trigger"),
            node("outer", "loop", {"max_concurrency": 2}),
            node("inner", "loop", {"max_concurrency": 2}, parent="outer"),
            wait("rest", "inner"),
            node("sum", "transform", {"expression": "item + index"}, parent="inner"),
            node("count", "while_loop", {"condition": "state < 3"}, parent="outer"),
            wait("pause", "count"),
            node("up", "transform", {"expression": "state + 1"}, parent="count"),
            node("both", "merge", parent="outer"),
            node("out", "output"),
        ],
        """start.trigger -> outer.items; outer.item -> inner.items; rest.output -> sum.input; pause.output -> up.input
        outer.index -> count.initial; inner.results -> both.inputs; count.state -> both.inputs
        outer.results -> out.value""",
    )
    run = machines.start(made, [[1, 2], [], [3]])
    over = machines.until(run)
    assert (over.status, over.error) == ("completed", None)
    assert machines.value(over.final_output) == [[[1, 3], 3], [[], 3], [[3], 3]]


def test_two_loops_in_a_row_and_one_that_is_skipped(machines: Machines):
    made = document(
        [
            node("start", "manual_trigger"),
            node("first", "loop"),
            wait("rest1", "first"),
            node("second", "loop"),
            wait("rest2", "second"),
            node("either", "condition", {"condition": "false"}),
            node("third", "loop"),
            wait("rest3", "third"),
            node("out", "output"),
        ],
        """start.trigger -> first.items; first.item -> rest1.input; first.results -> second.items
        second.item -> rest2.input; start.trigger -> either.input; either.true -> third.items
        second.results -> out.value""",
    )
    run = machines.start(made, [1, 2])
    over = machines.until(run)
    assert (over.status, machines.value(over.final_output)) == ("completed", [1, 2])
    assert machines.statuses(run)["third"] == "skipped"


@pytest.mark.parametrize("lanes", [1, 2])
def test_paused_in_a_body(machines: Machines, remote: Service, lanes: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("stepfunctions.engine.control._LOOK_SECONDS", 0)
    gates = [remote.hold(f"/{n + 1}") for n in range(lanes)]
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"max_concurrency": lanes}),
            wait("rest", "each"),
            post("call", remote.base, "{{ item }}", parent="each"),
            wait("again", "each"),
            post("late", remote.base, "late/{{ item }}", parent="each"),
            node("out", "output"),
        ],
        """start.trigger -> each.items; rest.output -> call.body; call.status -> again.input
        again.output -> late.body; each.results -> out.value""",
    )
    run = machines.start(made, [1, 2])
    assert all(gate.arrived.wait(20) for gate in gates)
    control.pause(machines.tenant, run.id)
    for gate in gates:
        gate.open.set()
    comes_to(machines, run, "paused", "requested")
    wait_for(lambda: len(parked(machines, run)) == lanes, "every pass comes to rest")
    assert "/late/1" not in remote.count()
    control.resume(machines.tenant, run.id)
    over = machines.until(run)
    assert (over.status, parked(machines, run)) == ("completed", [])
    assert remote.count() == {"/1": 1, "/2": 1, "/late/1": 1, "/late/2": 1}


def test_cancelled_in_a_body(machines: Machines, owner):
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"max_concurrency": 2}),
            node("ask", "human_in_the_loop", parent="each"),
        ],
        "start.trigger -> each.items; each.item -> ask.input",
    )
    run = machines.start(made, [1, 2])
    comes_to(machines, run, "paused", "human_input")
    control.cancel(machines.tenant, run.id)
    assert state_of(machines, run)[0] == "cancelled"
    assert machines.open_tasks(run) == {}


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_history_that_is_nearly_full(machines: Machines, remote: Service, lanes: int, monkeypatch):
    """The run goes on in a new execution, and repeats nothing."""
    monkeypatch.setattr("stepfunctions.engine.segment._CALLS_PER_EXECUTION", 4)
    monkeypatch.setattr("stepfunctions.engine.opened._AT_ONCE", 2)
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"max_concurrency": lanes}),
            wait("rest", "each"),
            post("call", remote.base, "{{ item }}", parent="each"),
            node("out", "output"),
        ],
        "start.trigger -> each.items; rest.output -> call.body; each.count -> out.value",
    )
    run = machines.start(made, list(range(10)))
    wait_for(lambda: _told(machines, run).ended, "the run ends")
    over = machines.store.get(run.id)
    assert (over.status, machines.value(over.final_output)) == ("completed", 10)
    assert over.attempt >= 2
    assert remote.count() == {f"/{i}": 1 for i in range(10)}


def _told(machines: Machines, run: Run) -> Run:
    """The run, after run_events was told of executions that handed it over: nobody else does here."""
    now = machines.store.get(run.id)
    before = replace(now, attempt=max(now.attempt - 1, 0))
    found = states.describe_execution(now.machine, before.execution_name) or {}
    if found.get("error") == "Continued" and states.describe_execution(now.machine, now.execution_name) is None:
        assert ended(found) == "launched"
        assert ended(found) == "launched"  # told twice, it starts once
    return now
