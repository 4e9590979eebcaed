"""Containers whose passes the state machine runs, when something goes wrong between two of its calls."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from shared.ids import ulid
from shared.runs.model import Run
from shared.tasks.service import TaskService
from stepfunctions import calls, control
from stepfunctions.engine.dataflow import Dataflow
from stepfunctions.engine.errors import BodyFailed, NodeFailed, TimeSlice
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.conftest import Bench
from tests.stepfunctions.engine.faults import Killed, Moment, Service, Strike, Time, Wire
from tests.stepfunctions.engine.test_distributed import squares
from tests.stepfunctions.engine.test_kill import post
from tests.stepfunctions.engine.test_opened import wait
from tests.stepfunctions.engine.watch import answer, comes_to


def counting(**config: Any):
    """A body that only rests; what a pass gives depends on what the one before gave."""
    return document(
        [
            node("start", "manual_trigger"),
            node("loop", "while_loop", {"condition": "iteration < 3", "result": "state & iteration", **config}),
            wait("rest", "loop"),
            node("out", "output"),
        ],
        "start.trigger -> loop.initial; loop.state -> rest.input; loop.state -> out.value",
    )


def segment_of(bench: Bench, run: Run, node_id: str) -> int:
    (found,) = (s.id for s in bench.plan(run).segments if node_id in s.nodes)
    return found


def begin(bench: Bench, run: Run, lanes: int) -> None:
    """The first turn, and what a pass begins with where the turn does not do that."""
    bench.turn(run)
    if lanes > 1:
        (number,) = (s.id for s in bench.plan(run).segments if s.scope == "each" and s.arms)
        bench.call(run, number, at="0")


def ask(bench: Bench, run: Run, at: str, position: int = 0) -> None:
    """One call of the tasks function, for a question."""
    event = {"run": bench.envelope(run, at), "question": position, "token": f"token {at}"}
    calls.token_call(event, owner=ulid(), remaining=lambda: 300.0)


def short_life() -> Callable[[], float]:
    """The time of a call that is over as soon as something is done."""
    left = iter([300.0])
    return lambda: next(left, 0.0)


def open_tasks(bench: Bench, run: Run) -> list[str]:
    return [t.node_id for t in TaskService(bench.tenant).open_tasks(run.id)]


@pytest.mark.parametrize("often", [1, 2, 3])
def test_each_turn_made_again(bench: Bench, often: int):
    """Its answer was lost, or the run paused in the first segment of the next pass: the state has gone on already."""
    run, at = bench.start(counting(), ""), ""
    for expected in ("0", "1", "2", ""):
        places = [bench.turn(run, at=at)["turn"]["at"] for _ in range(often)]
        assert places == [expected] * often
        at = expected
    assert bench.value(bench.records(run)["", "loop"].outputs["state"]) == "012"


def test_a_turn_made_late(bench: Bench):
    run = bench.start(counting(), "")
    for at in ("", "0", "1"):
        bench.turn(run, at=at)
    assert bench.turn(run, at="0")["turn"]["at"] == "2"
    assert bench.turn(run, at="2")["turn"]["go"] is False
    assert bench.value(bench.records(run)["", "loop"].outputs["state"]) == "012"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_turns_killed_everywhere(bench: Bench, remote: Service, wire: Wire, time_: Time, moment: Moment):
    made = document(
        [
            node("start", "manual_trigger"),
            node("loop", "while_loop", {"condition": "iteration < 2", "result": "state & nodes.text.output"}),
            post("first", remote.base, parent="loop"),
            wait("rest", "loop"),
            node("text", "transform", {"expression": "$string(iteration) & state"}, parent="loop"),
            post("last", remote.base, parent="loop"),
        ],
        """start.trigger -> loop.initial; first.status -> rest.input; rest.output -> text.input
        text.output -> last.body""",
    )
    for at in count():
        run, place, killed, more = bench.start(made, ""), "", False, True
        wire.reset(Strike(at, moment))
        while more:
            try:
                turn = bench.turn(run, at=place)["turn"]
                place, more = turn["at"], turn["go"]
            except Killed:
                killed = True
                wire.reset()
                time_.pass_lease()
        wire.reset()
        outputs = bench.records(run)["", "loop"].outputs
        assert [bench.value(outputs[port]) for port in ("state", "iterations")] == ["010", 2], at
        if not killed:
            assert at > 10
            return


def test_what_a_retry_goes_on_with(bench: Bench):
    """The state before a pass stands with the number of that pass, also when there is no next one."""
    run = bench.start(counting(condition="true", max_iterations=2), "")
    for at in ("", "0"):
        bench.turn(run, at=at)
    with pytest.raises(NodeFailed):
        bench.turn(run, at="1")
    record = bench.records(run)["", "loop"]
    assert (record.passes, bench.value(record.state)) == (1, "0")


def two_branches(base: str, container: dict[str, Any], question: dict[str, Any]):
    """A question with a side effect behind it, beside a branch that fails."""
    return document(
        [
            node("start", "manual_trigger"),
            container,
            node("ask", "human_in_the_loop", question, parent="each"),
            post("after", base, parent="each"),
            wait("rest", "each"),
            node("bad", "transform", {"expression": "$error('bad')"}, parent="each"),
            post("never", base, parent="each"),
            node("out", "output"),
        ],
        """start.trigger -> each.items; each.item -> ask.input; ask.approved -> after.body; each.item -> rest.input
        rest.output -> bad.input; bad.output -> never.body; each.results -> out.value; each.error -> out.value""",
    )


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("tolerance", ["skip", "fail"])
@pytest.mark.parametrize("lapse", ["approve", "fail"])
def test_a_question_beside_a_failure(bench: Bench, remote: Service, lanes: int, tolerance: str, lapse: str):
    """It is closed, and nobody takes it for answered: nothing more is done in a pass that has failed."""
    loop = node("each", "loop", {"max_concurrency": lanes, "on_item_error": tolerance})
    run = bench.start(two_branches(remote.base, loop, {"on_timeout": lapse}), [1])
    begin(bench, run, lanes)
    ask(bench, run, "0")
    assert open_tasks(bench, run) == ["ask"]
    with pytest.raises(BodyFailed):
        bench.call(run, segment_of(bench, run, "never"), at="0")
    assert bench.turn(run, at="" if lanes > 1 else "0")["turn"]["go"] is False
    assert open_tasks(bench, run) == []
    assert (remote.count(), bench.records(run)["each/0", "ask"].status) == ({}, "pending")
    loop_record = bench.records(run)["", "each"]
    if tolerance == "skip":
        assert bench.value(loop_record.outputs["results"]) == []
    else:
        assert loop_record.error is not None
        assert loop_record.error["error"] == "ExpressionError"


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_question_further_inside_beside_a_failure(bench: Bench, remote: Service, lanes: int):
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"max_concurrency": lanes, "on_item_error": "skip"}),
            node("inner", "loop", {"max_concurrency": 2}, parent="each"),
            node("ask", "human_in_the_loop", parent="inner"),
            wait("rest", "each"),
            node("bad", "transform", {"expression": "$error('bad')"}, parent="each"),
            post("never", remote.base, parent="each"),
        ],
        """start.trigger -> each.items; each.item -> inner.items; inner.item -> ask.input; each.item -> rest.input
        rest.output -> bad.input; bad.output -> never.body""",
    )
    run = bench.start(made, [[1, 2]])
    begin(bench, run, lanes)
    assert bench.turn(run, 1, at="0")["turn"]["items"] == ["0/0", "0/1"]
    ask(bench, run, "0/0")
    ask(bench, run, "0/1")
    with pytest.raises(BodyFailed):
        bench.call(run, segment_of(bench, run, "never"), at="0")
    assert len(open_tasks(bench, run)) == 2
    assert bench.turn(run, at="" if lanes > 1 else "0")["turn"]["go"] is False
    assert open_tasks(bench, run) == []


def test_the_pause_before_a_pass_outlives_a_call(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    made = document(
        [
            node("start", "manual_trigger"),
            node("again", "retry", {"max_retries": 1, "interval_seconds": 3000}),
            node("bad", "transform", {"expression": "$error('bad')"}, parent="again"),
            wait("rest", "again"),
        ],
        "start.trigger -> again.input; again.input -> bad.input; bad.output -> rest.input",
    )
    until = []

    async def rest(_: Dataflow, __: object, moment: int) -> None:
        until.append(moment)
        raise TimeSlice("the call's time is nearly over")

    monkeypatch.setattr(Dataflow, "rest", rest)
    run = bench.start(made)
    for _ in range(2):
        with pytest.raises(TimeSlice):
            bench.turn(run)
    assert until[1] - until[0] < 1_000


@pytest.mark.parametrize("tolerance", ["fail", "skip"])
@pytest.mark.parametrize("body", ["lots", "rests"])
def test_a_distributed_loop_in_which_a_result_cannot_be_made(machines: Machines, tolerance: str, body: str):
    result = "item = 2 ? $error('no') : item"
    config = {"mode": "distributed", "max_concurrency": 2, "on_item_error": tolerance, "result": result}
    quick = node("inside", "transform", {"expression": "1"}, parent="each")
    inside = wait("inside", "each") if body == "rests" else quick
    made = document(
        [node("start", "manual_trigger"), node("each", "loop", config), inside, node("out", "output")],
        "start.trigger -> each.items; each.item -> inside.input; each.results -> out.value",
    )
    over = machines.until(machines.start(made, [1, 2, 3]))
    if tolerance == "skip":
        assert (over.status, machines.value(over.final_output)) == ("completed", [1, 3])
    else:
        assert over.error is not None
        assert (over.status, over.error["node_id"], over.error["error"]) == ("failed", "each", "ExpressionError")
        assert "for item 1: " in over.error["message"]
        assert "no" in over.error["message"]


def test_a_lot_that_takes_many_calls_comes_to_its_end(bench: Bench):
    """What can be computed again is not computed again and again."""
    run = bench.start(squares(max_concurrency=1, on_item_error="null"), list(range(5, 13)))
    assert bench.turn(run)["turn"]["items"] == ["0", "1", "2", "3"]
    (segment,) = (s.id for s in bench.plan(run).segments if s.scope == "each")
    for lot in ("0", "1", "2", "3"):
        with pytest.raises(TimeSlice):
            bench.call(run, segment, at=lot, remaining=short_life())
        bench.call(run, segment, at=lot, remaining=short_life())
    assert bench.turn(run)["turn"]["go"] is False
    results = bench.value(bench.records(run)["", "each"].outputs["results"])
    assert results == [None if n % 7 == 6 else n * n for n in range(5, 13)]


def test_passes_of_maps_within_maps_fit_into_a_history(bench: Bench):
    made = document(
        [
            node("start", "manual_trigger"),
            node("outer", "loop", {"max_concurrency": 40}),
            node("inner", "loop", {"max_concurrency": 40}, parent="outer"),
            node("ask", "human_in_the_loop", parent="inner"),
        ],
        "start.trigger -> outer.items; outer.item -> inner.items; inner.item -> ask.input",
    )
    run = bench.start(made, [list(range(400))] * 400)
    outer, inner = bench.turn(run)["turn"]["items"], bench.turn(run, 1, at="0")["turn"]["items"]
    assert 40 <= len(outer) <= 500
    assert 1 <= 40 * len(inner) * 10 <= 25_000


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_pure_failure_is_computed_again_by_a_retry(bench: Bench, remote: Service, monkeypatch, lanes: int):
    made = two_branches(remote.base, node("each", "loop", {"max_concurrency": lanes}), {})
    made = made.model_copy(update={"connections": [c for c in made.connections if c.source_port != "error"]})
    run = bench.start(made, [1])
    begin(bench, run, lanes)
    with pytest.raises(BodyFailed):
        bench.call(run, segment_of(bench, run, "never"), at="0")
    with pytest.raises(NodeFailed):
        bench.turn(run, at="" if lanes > 1 else "0")
    monkeypatch.setattr(control, "launch", lambda *_: None)
    control.retry(bench.tenant, run.id)
    decided = bench.turn(run)["turn"]
    assert (decided["go"], bench.records(run)["", "each"].attempts) == (True, 2)


def test_an_abandoned_question_is_asked_anew(bench: Bench, remote: Service, monkeypatch: pytest.MonkeyPatch):
    loop = node("each", "loop", {"max_concurrency": 1})
    made = two_branches(remote.base, loop, {})
    made = made.model_copy(update={"connections": [c for c in made.connections if c.source_port != "error"]})
    run = bench.start(made, [1])
    bench.turn(run)
    ask(bench, run, "0")
    with pytest.raises(BodyFailed):
        bench.call(run, segment_of(bench, run, "never"), at="0")
    with pytest.raises(NodeFailed):
        bench.turn(run, at="0")
    assert open_tasks(bench, run) == []
    monkeypatch.setattr(control, "launch", lambda *_: None)
    control.retry(bench.tenant, run.id)
    assert bench.turn(run)["turn"]["at"] == "0"
    ask(bench, run, "0")
    assert open_tasks(bench, run) == ["ask"]


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_run_rests_although_a_pass_has_failed(machines: Machines, owner, remote: Service, lanes: int):
    """The calls of a pass that failed are not called again: nobody is at work there."""
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"max_concurrency": lanes, "on_item_error": "skip"}),
            wait("rest", "each"),
            post("call", remote.base, "{{ item }}", parent="each"),
            node("ask", "human_in_the_loop", parent="each"),
        ],
        "start.trigger -> each.items; each.item -> rest.input; rest.output -> call.body; call.status -> ask.input",
    )
    remote.fail("/1", status=400)
    run = machines.start(made, [1, 2])
    comes_to(machines, run, "paused", "human_input")
    answer(machines, run, owner.user.id, "ask")
    assert machines.until(run).status == "completed"
