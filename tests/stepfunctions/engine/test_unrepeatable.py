"""What a second evaluation would give another value: it is recorded, or refused."""

from __future__ import annotations

import pytest

from stepfunctions.compiler.compile import compile_document
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.engine.conftest import Bench
from tests.stepfunctions.engine.faults import Moment, Service, Time, Wire
from tests.stepfunctions.engine.test_kill import killed_everywhere, post

DRAWN = ["$random()", "$millis() + $random()", "$now() & 'x'", "$shuffle([1..1000])[0]"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_all_that_read_it_read_the_same(bench: Bench, remote: Service, wire: Wire, time_: Time, moment: Moment):
    told = "told/{{ $string(nodes.draw.output) }}"
    made = document(
        [
            node("start", "manual_trigger"),
            node("draw", "transform", {"expression": "$floor($random() * 1e12)"}),
            post("told", remote.base, told),
            node("each", "loop", inputs={"items": [1, 2]}),
            node("within", "transform", {"expression": "$floor($random() * 1e12)"}, parent="each"),
            post("again", remote.base, "again/{{ $string(nodes.within.output) }}", parent="each"),
            node("out", "output"),
            node("those", "output", inputs={"value": "{{ nodes.each.results }}"}),
        ],
        "start.trigger -> draw.input; draw.output -> told.body; draw.output -> out.value; within.output -> again.body",
    )
    for run in killed_everywhere(bench, wire, made, moment):
        if not bench.get(run).ended:
            bench.through(run, time_)
        assert bench.get(run).status == "completed"
        records = bench.records(run)
        drawn = {bench.value(records["", "draw"].outputs["output"])}
        drawn |= {bench.value(records[f"each/{i}", "within"].outputs["output"]) for i in (0, 1)}
        assert bench.output(run)["out"] in drawn
        assert {int(path.rsplit("/", 1)[1]) for path, _ in remote.seen} == drawn
        remote.seen.clear()


@pytest.mark.parametrize("drawn", DRAWN)
def test_two_calls_do_not_both_decide(drawn: str):
    ask = [node(n, "human_in_the_loop", {"title": n}) for n in ("one", "other")]
    made = document(
        [node("start", "manual_trigger"), node("which", "condition", {"condition": f"{drawn} > 1"}), *ask],
        "start.trigger -> which.input; which.true -> one.input; which.false -> other.input",
    )
    plan = compile_document(made).plan
    assert plan is not None
    assert not plan.nodes["which"].pure
    assert [("which" in s.nodes) for s in plan.segments].count(True) == 1
    assert not any("which" in q.nodes for q in plan.questions)


@pytest.mark.parametrize("drawn", DRAWN)
@pytest.mark.parametrize(
    "container",
    [
        node("c", "loop", inputs={"items": "{{ [%] }}"}),
        node("c", "loop", {"result": "%"}, inputs={"items": [1]}),
        node("c", "while_loop", {"condition": "state < %"}, inputs={"initial": 0}),
        node("c", "retry", {"max_retries": 1}, inputs={"input": "{{ % }}"}),
    ],
    ids=["items", "result", "condition", "input"],
)
def test_what_passes_come_from_is_refused(container, drawn: str):
    def filled(value):
        if isinstance(value, dict):
            return {name: filled(each) for name, each in value.items()}
        return value.replace("%", drawn) if isinstance(value, str) else value

    body = node("in", "transform", {"expression": "1"}, parent="c")
    found = compile_document(document([filled(container), body])).diagnostics
    assert [(d.code, d.node_id) for d in found if d.severity == "error"] == [("unrepeatable", "c")]
    assert drawn.partition("(")[0] in found[0].message


def test_a_name_of_ones_own_is_none_of_them():
    made = node("a", "transform", {"expression": "($now := function() { 1 }; $now())"})
    off = node("b", "transform", {"expression": "$random()"}, disabled=True)
    plan = compile_document(document([made, off])).plan
    assert plan is not None
    assert plan.nodes["a"].pure
    assert plan.nodes["b"].pure
