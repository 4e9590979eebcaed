"""Attempts and limits of nodes: retry policies, time-outs, what an expression may take and reach."""

from __future__ import annotations

import time

import pytest

from shared.errors import Invalid
from shared.expressions import jsonata
from tests.stepfunctions.compiler.documents import node
from tests.stepfunctions.engine.conftest import Bench
from tests.stepfunctions.engine.faults import Service
from tests.stepfunctions.engine.test_kill import post
from tests.stepfunctions.engine.test_meaning import js, made, ran


def attempts(bench: Bench, run, name: str = "a") -> tuple[str, int]:
    record = bench.records(run)["", name]
    return record.status, record.attempts


POLICY = {"max_attempts": 3, "interval_seconds": 0, "backoff_rate": 1, "max_interval_seconds": 0}


@pytest.mark.parametrize(
    ("wires", "status"), [("start.trigger -> ask.after", "failed"), ("ask.error -> out.value", "completed")]
)
def test_half_a_character_in_an_error_message(bench: Bench, remote: Service, wires: str, status: str):
    remote.bodies["/"] = b'{"errors": [{"message": "cut \\ud83d"}]}'
    ask = node("ask", "graphql_query", {"url": f"{remote.base}/"}, inputs={"query": "{ a }"})
    run = ran(bench, made([ask, node("out", "output")], wires))
    assert (bench.get(run).status, remote.count()) == (status, {"/": 1})
    told = bench.output(run) or bench.get(run).error
    assert told == {"node_id": "ask", "error": "GraphqlError", "message": "cut ?", "attempts": 1}
    assert bench.records(run)["", "ask"].error == told


@pytest.mark.parametrize(("failures", "expected"), [(0, ("completed", 1)), (3, ("completed", 4)), (4, ("failed", 4))])
def test_attempts(bench: Bench, remote: Service, failures: int, expected):
    remote.fail("/a", times=failures)
    run = ran(bench, made([post("a", remote.base, retry=POLICY)]))
    assert attempts(bench, run) == expected
    assert remote.done(run.id, "", "a") == expected[1]  # one key for all of them
    error = bench.get(run).error
    assert error is None or error["attempts"] == 4


def test_what_cannot_be_mended_is_not_repeated(bench: Bench, remote: Service):
    run = ran(bench, made([node("a", "http_request", inputs={"url": "ftp://x"}, retry=POLICY)]))
    assert attempts(bench, run) == ("failed", 1)
    run = ran(bench, made([post("a", remote.base, "{{ $number('x') }}", retry=POLICY)]))
    assert attempts(bench, run)[0] == "failed"
    error = bench.get(run).error
    assert error is not None
    assert error["error"] == "ExpressionError"
    assert not remote.seen


def test_back_off_and_what_the_other_side_asks_for(bench: Bench, remote: Service, monkeypatch: pytest.MonkeyPatch):
    pauses: list[float] = []

    async def rest(self, node_, until_ms: int) -> None:
        pauses.append(round((until_ms - time.time() * 1000) / 1000))

    monkeypatch.setattr("stepfunctions.engine.dataflow.Dataflow.rest", rest)
    remote.fail("/a", times=2)
    remote.fail("/a", times=1, Retry_After="120")
    remote.fail("/a", times=1, Retry_After="999999999")
    remote.fail("/a", times=2)
    policy = {"max_attempts": 6, "interval_seconds": 5, "backoff_rate": 3, "max_interval_seconds": 50}
    run = ran(bench, made([post("a", remote.base, retry=policy)]))
    assert attempts(bench, run) == ("completed", 7)
    assert pauses == [5, 15, 120, 3_600, 50, 50]


def test_timeout_of_one_attempt(bench: Bench, remote: Service):
    remote.hold("/a")
    began = time.monotonic()
    run = ran(bench, made([post("a", remote.base, timeout_seconds=0.2, retry={**POLICY, "max_attempts": 1})]))
    error = bench.get(run).error
    assert error is not None
    assert (error["error"], error["attempts"]) == ("Timeout", 2)
    assert error["message"] == "no result within 0.2 seconds"
    assert time.monotonic() - began < 5


def test_a_timeout_is_handled_like_any_error(bench: Bench, remote: Service):
    remote.hold("/a")
    run = ran(
        bench,
        made([post("a", remote.base, timeout_seconds=0.2), node("out", "output")], "a.error -> out.value"),
    )
    assert bench.output(run)["error"] == "Timeout"


@pytest.mark.parametrize(
    "expression",
    [
        "$sum($map([1..3000], function($i) { $sum($map([1..3000], function($j) { $i * $j })) }))",
        "($f := function($n) { $f($n + 1) }; $f(0))",
        "$join($map([1..2000000], function($i) { 'xxxxxxxxxx' }))",
        "$pad('', 10000001, 'x')",
        "$number('seven')",
        "1 / 0",
        "'a' + 1",
    ],
)
def test_an_expression_out_of_bounds_fails_its_node(bench: Bench, expression: str):
    began = time.monotonic()
    run = ran(bench, made([js("bad", expression), node("out", "output")], "bad.error -> out.value"))
    assert bench.output(run)["error"] == "ExpressionError"
    assert time.monotonic() - began < 4


def test_the_budget_is_a_second():
    began = time.monotonic()
    with pytest.raises(jsonata.ExpressionFailed):
        jsonata.evaluate("$sum($map([1..9000], function($i) { $sum($map([1..9000], function($j) { $i })) }))", {})
    assert 0.5 < time.monotonic() - began < 2.5


def test_eval_is_refused(bench: Bench):
    with pytest.raises(Invalid) as refused:
        bench.start(made([js("bad", "$eval('1')")]))
    assert "$eval" in refused.value.errors[0].message
    with pytest.raises(jsonata.ExpressionFailed):  # also by another way than a published document
        jsonata.evaluate("($e := $eval; $e('1'))", {})


def test_nothing_but_the_scope_can_be_read(bench: Bench):
    template = r"{{ $string(trigger) }}|{% $states %}|\{{ x }}|{{ variables.limit }}"
    run = ran(
        bench,
        made(
            [node("t", "template", {"template": template}), node("out", "output")],
            "t.output -> out.value",
            variables={"limit": 7},
        ),
        trigger={"a": "{{ variables.limit }}"},
    )  # fmt: skip
    assert bench.output(run) == '{"a":"{{ variables.limit }}"}|{% $states %}|{{ x }}|7'
