"""Distributed loops: items in lots, in executions of their own, with results in order."""

from __future__ import annotations

from typing import Any

import pytest

from stepfunctions import control
from stepfunctions.engine.errors import BodyFailed
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.conftest import Bench
from tests.stepfunctions.engine.faults import Service
from tests.stepfunctions.engine.test_kill import post


def squares(**config: Any):
    return document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"mode": "distributed", "max_concurrency": 2, **config}),
            node("square", "transform", {"expression": "item % 7 = 6 ? $error('six') : item * item"}, parent="each"),
            node("out", "output"),
        ],
        "start.trigger -> each.items; each.results -> out.value",
    )


@pytest.mark.parametrize("items", [0, 1, 6])
def test_results_are_in_order(machines: Machines, items: int):
    run = machines.start(squares(), list(range(items)))
    ended = machines.until(run)
    assert (ended.status, ended.error) == ("completed", None)
    assert machines.value(ended.final_output) == [n * n for n in range(items)]


@pytest.mark.parametrize(
    ("tolerance", "most", "expected"),
    [
        ("skip", None, [0, 1, 4, 9, 16, 25, 49]),
        ("null", 1, [0, 1, 4, 9, 16, 25, None, 49]),
        ("skip", 0, "TooManyFailures"),
        ("fail", None, "ExpressionError"),
    ],
)
def test_items_that_fail(machines: Machines, tolerance: str, most: int | None, expected: Any):
    run = machines.start(
        squares(on_item_error=tolerance, **({} if most is None else {"tolerated_failures": most})), list(range(8))
    )
    ended = machines.until(run)
    if isinstance(expected, str):
        assert (ended.status, ended.error and ended.error["error"]) == ("failed", expected)
        assert ended.error["node_id"] == "each"
    else:
        assert machines.value(ended.final_output) == expected


def calling(base: str, **config: Any):
    return document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"mode": "distributed", "max_concurrency": 1, **config}),
            post("call", base, "{{ item }}", parent="each"),
            node("out", "output"),
        ],
        "start.trigger -> each.items; each.count -> out.value",
    )


def test_a_failed_run_goes_on_with_what_is_left(machines: Machines, remote: Service):
    remote.fail("/5", status=400)
    run = machines.start(calling(remote.base), list(range(8)))
    assert machines.until(run).status == "failed"
    control.retry(machines.tenant, run.id)
    ended = machines.until(run)
    assert (ended.status, machines.value(ended.final_output)) == ("completed", 8)
    assert remote.count() == {f"/{i}": 2 if i == 5 else 1 for i in range(8)}


def test_a_lot_that_is_called_again_repeats_nothing(bench: Bench, remote: Service):
    run = bench.start(calling(remote.base), list(range(8)))
    turn = bench.turn(run)
    assert turn["turn"]["items"] == ["0", "1", "2", "3"]
    (segment,) = (s.id for s in bench.plan(run).segments if s.scope == "each")
    remote.fail("/1", status=400)
    for _ in range(2):
        with pytest.raises(BodyFailed):
            bench.call(run, segment, at="0")
    bench.call(run, segment, at="1")
    bench.call(run, segment, at="1")
    assert remote.count() == {"/0": 1, "/1": 1, "/2": 1, "/3": 1}


def test_a_body_that_rests(machines: Machines):
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"mode": "distributed", "max_concurrency": 2, "on_item_error": "null"}),
            node("rest", "delay", {"until": "2001-01-01T00:00:00Z"}, parent="each"),
            node("odd", "transform", {"expression": "item = 2 ? $error('no') : item"}, parent="each"),
            node("out", "output"),
        ],
        "start.trigger -> each.items; rest.output -> odd.input; each.results -> out.value",
    )
    run = machines.start(made, [1, 2, 3])
    ended = machines.until(run)
    assert (ended.status, machines.value(ended.final_output)) == ("completed", [1, None, 3])


def test_too_many_items_are_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("stepfunctions.engine.lots.MAX_ITEMS", 5)
    run = bench.start(squares(), list(range(6)))
    with pytest.raises(Exception, match="failed"):
        bench.turn(run)
    ended = bench.get(run)
    assert (ended.status, ended.error and ended.error["error"]) == ("failed", "TooManyItems")
