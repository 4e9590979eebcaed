"""What running a document means (dead paths, ports, errors, loops), one rule a case."""

from __future__ import annotations

from typing import Any

import pytest

from stepfunctions.engine.errors import NodeFailed
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.engine.conftest import Bench
from tests.stepfunctions.engine.faults import Service
from tests.stepfunctions.engine.test_kill import post

SAID = "Internal Server Error"


def made(nodes: list[dict[str, Any]], wires: str = "", **fields: Any):
    return document([node("start", "manual_trigger"), *nodes], wires, **fields)


def js(node_id: str, expression: str, **fields: Any) -> dict[str, Any]:
    return node(node_id, "transform", {"expression": expression}, **fields)


def ran(bench: Bench, document_, trigger: Any = None):
    """Run it in one call; whether it succeeds is the run's status to say."""
    run = bench.start(document_, trigger)
    try:
        bench.call(run)
    except NodeFailed:
        assert bench.get(run).status == "failed"
    return run


# --- ports and dead paths -----------------------------------------------------------------------------------------


def test_a_dead_path_is_dead_to_its_end(bench: Bench):
    run = ran(
        bench,
        made(
            [
                node("which", "condition", {"condition": "trigger"}),
                js("a", "1"),
                js("b", "2"),
                node("both", "merge"),
                js("after_a", "3"),
                js("reads_a", "$exists(nodes.a.output) ? 'ran' : 'did not'"),
                js("unwired", "4"),
            ],
            """which.true -> a.input; which.false -> b.input; a.output -> after_a.input; a.output -> both.inputs
            b.output -> both.inputs""",
        ),
        trigger=False,
    )
    assert bench.statuses(run) == {
        "start": "completed",
        "which": "completed",
        "a": "skipped",
        "b": "completed",
        "both": "completed",
        "after_a": "skipped",
        "reads_a": "completed",
        "unwired": "completed",
    }
    assert bench.value(bench.records(run)["", "both"].outputs["output"]) == [2]
    assert bench.value(bench.records(run)["", "reads_a"].outputs["output"]) == "did not"


def test_null_is_a_value(bench: Bench):
    run = ran(
        bench,
        made(
            [
                js("nothing", "null"),
                js("undefined", "trigger.missing"),
                node("all", "merge"),
                js("seen", "{'null': inputs.input = null, 'type': $type(nodes.nothing.output)}"),
                node("first", "output"),
                node("second", "output"),
            ],
            """nothing.output -> all.inputs; undefined.output -> all.inputs; nothing.output -> seen.input
            all.output -> first.value; seen.output -> second.value""",
        ),
    )
    assert bench.output(run) == {"first": [None, None], "second": {"null": True, "type": "null"}}


def test_a_single_port_takes_the_first_delivered_and_a_multiple_one_all_in_document_order(bench: Bench):
    wires = [f"{n}.output -> {port}" for n in ("c", "a", "b") for port in ("all.inputs", "one.input")]
    run = ran(
        bench,
        made(
            [js("a", "'A'"), js("b", "'B'"), node("c", "condition", {"condition": "false"}), node("all", "merge"),
             js("one", "inputs.input"), node("o1", "output"), node("o2", "output")],
            "\n".join([*wires, "all.output -> o1.value; one.output -> o2.value"]).replace("c.output", "c.true"),
        ),
    )  # fmt: skip
    assert bench.output(run) == {"o1": ["A", "B"], "o2": "A"}
    assert bench.statuses(run)["c"] == "completed"


@pytest.mark.parametrize("typed", ["plain", "{{ $error('not looked at') }}", "{{ secrets.not_there }}"])
def test_a_missing_required_input_skips(bench: Bench, remote: Service, typed: str):
    run = ran(
        bench,
        made(
            [
                js("never", "1"),
                node("off", "condition", {"condition": "false"}),
                # Something is delivered, but not what is required; what is typed in counts.
                node("get", "http_request", {"method": "POST"}, inputs={"headers": {"X": typed}}),
                post("typed", remote.base),
                node("behind", "merge"),
            ],
            """start.trigger -> off.input; off.true -> get.url; never.output -> get.body; start.trigger -> typed.body
            get.status -> behind.inputs; get.error -> behind.inputs""",
        ),
    )
    found = bench.statuses(run)
    assert (found["get"], found["behind"], found["typed"]) == ("skipped", "skipped", "completed")
    assert remote.count() == {"/typed": 1}


def test_a_delivered_null_beats_what_is_typed_in(bench: Bench):
    run = ran(
        bench,
        made(
            [js("nothing", "null"), js("see", "$type(inputs.input)", inputs={"input": "typed"}),
             js("off", "$type(inputs.input)", inputs={"input": "typed"}),
             node("no", "condition", {"condition": "true"}), node("o", "output"), node("p", "output")],
            """nothing.output -> see.input; see.output -> o.value; no.false -> off.input; nothing.output -> off.input
            off.output -> p.value""",
        ),
    )  # fmt: skip
    assert bench.output(run) == {"o": "null", "p": "null"}


# --- failure --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "wires", "status", "output"),
    [
        ({}, "bad.response -> out.value", "failed", None),
        ({"on_error": "continue"}, "bad.response -> out.value", "completed", None),
        ({"on_error": "continue"}, "bad.status -> all.inputs; bad.headers -> all.inputs; all.output -> out.value",
         "completed", [None, None]),
        ({}, "bad.error -> out.value; bad.response -> dead.input", "completed",
         {"node_id": "bad", "error": "HttpError", "message": f"127.0.0.1 answered 500 {SAID}", "attempts": 1}),
        ({"on_error": "branch"}, "bad.response -> out.value", "completed", None),
    ],
)  # fmt: skip
def test_on_error(bench: Bench, remote: Service, fields, wires, status, output):
    remote.fail("/bad", times=9)
    run = ran(
        bench,
        made([post("bad", remote.base, **fields), node("all", "merge"), js("dead", "1"), node("out", "output")], wires),
    )
    assert (bench.get(run).status, bench.output(run)) == (status, output)
    assert bench.statuses(run)["bad"] == "failed"
    if "bad.error" in wires:
        assert bench.statuses(run)["dead"] == "skipped"
    if fields.get("on_error") == "branch":
        assert bench.statuses(run)["out"] == "skipped"


@pytest.mark.parametrize("on_error", ["continue", "branch"])
def test_on_error_of_pure_nodes_and_of_nodes_in_loops(bench: Bench, remote: Service, on_error: str):
    remote.fail("/one/2", times=9)
    wires = {"continue": "one.status -> end.input", "branch": "one.status -> end.input; one.error -> end.input"}
    run = ran(
        bench,
        made(
            [
                js("bad", "$number('x')", on_error=on_error),
                node("each", "loop"),
                post("one", remote.base, "one/{{ item }}", parent="each", on_error=on_error),
                js("end", "$type(inputs.input) = 'object' ? inputs.input.error : inputs.input", parent="each"),
                node("pure", "loop"),
                js("inside", "$number(item)", parent="pure", on_error=on_error),
                node("out", "output"),
                node("out2", "output"),
                node("out3", "output"),
            ],
            f"""start.trigger -> each.items; {wires[on_error]}; each.results -> out.value; start.trigger -> pure.items
            pure.results -> out2.value; bad.{"output" if on_error == "continue" else "error"} -> out3.value""",
        ),
        trigger=[1, 2, "3"],
    )
    found = bench.output(run)
    assert found["out"] == [200, None if on_error == "continue" else "HttpError", 200]
    assert found["out2"] == [1, 2, 3]
    assert found["out3"] if on_error == "branch" else found["out3"] is None
    assert bench.records(run)["each/1", "one"].status == "failed"


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize(
    ("tolerance", "status", "results"),
    [("skip", "completed", [10, 30]), ("null", "completed", [10, None, 30]), ("fail", "failed", None)],
)
@pytest.mark.parametrize("inside", ["pure", "effect", "result"])
def test_on_item_error(bench: Bench, remote: Service, lanes: int, tolerance: str, status: str, results, inside: str):
    remote.fail("/one/2", times=9)
    body, result = js("one", "item = 2 ? $error('no') : item * 10", parent="each"), "item * $count(nodes.one) * 10"
    if inside == "effect":
        body = post("one", remote.base, "one/{{ item }}", parent="each")
    elif inside == "result":
        body, result = js("one", "item", parent="each"), "item = 2 ? $error('no') : item * 10"
    run = ran(
        bench,
        made(
            [
                node(
                    "each",
                    "loop",
                    {"on_item_error": tolerance, "max_concurrency": lanes, "result": result},
                ),
                body,
                node("out", "output"),
            ],
            "start.trigger -> each.items; each.results -> out.value",
        ),
        trigger=[1, 2, 3],
    )  # fmt: skip
    assert (bench.get(run).status, bench.output(run)) == (status, results)
    if status == "failed":
        error = bench.get(run).error
        assert error is not None
        assert (error["node_id"], "item 1" in error["message"]) == ("each", True)


@pytest.mark.parametrize(
    ("fields", "port", "output"),
    [({"on_error": "continue"}, "results", None), ({}, "error", "each"), ({"disabled": True}, "results", [1])],
)
def test_the_failure_of_a_loop_is_the_loop_s_own_to_handle(bench: Bench, remote: Service, fields, port, output):
    remote.fail("/one", times=9)
    run = ran(
        bench,
        made(
            [node("each", "loop", **fields), post("one", remote.base, parent="each"), node("out", "output")],
            f"start.trigger -> each.items; each.{port} -> out.value",
        ),
        trigger=[1],
    )
    found = bench.output(run)
    assert (bench.get(run).status, found["node_id"] if isinstance(found, dict) else found) == ("completed", output)


@pytest.mark.parametrize("items", [None, "text", {"a": 1}, 3])
def test_a_loop_over_what_is_no_list(bench: Bench, items):
    run = ran(
        bench,
        made([node("each", "loop"), js("one", "1", parent="each")], "start.trigger -> each.items"),
        trigger=items,
    )
    error = bench.get(run).error
    assert error is not None
    assert (error["node_id"], error["error"]) == ("each", "InvalidInput")


def test_results_of_a_loop(bench: Bench):
    run = ran(
        bench,
        made(
            [
                node("sinks", "loop"),
                js("twice", "item * 2", parent="sinks"),
                js("index", "index", parent="sinks"),
                node("dead", "loop"),
                node("odd", "condition", {"condition": "item % 2 = 1"}, parent="dead"),
                js("only", "item", parent="dead"),
                node("none", "loop", inputs={"items": []}),
                js("x", "1", parent="none"),
                *(node(f"o{i}", "output") for i in range(4)),
            ],
            """start.trigger -> sinks.items; start.trigger -> dead.items; odd.true -> only.input
            sinks.results -> o0.value; dead.results -> o1.value; none.results -> o2.value; none.count -> o3.value""",
        ),
        trigger=[1, 2],
    )
    assert bench.output(run) == {
        "o0": [{"twice": 2, "index": 0}, {"twice": 4, "index": 1}],
        "o1": [1, None],
        "o2": [],
        "o3": 0,
    }


def test_a_failure_stops_the_others_and_keeps_what_is_done(bench: Bench, remote: Service):
    slow = remote.hold("/slow")
    remote.fail("/bad")
    run = ran(
        bench,
        made(
            [
                post("quick", remote.base),
                post("bad", remote.base),
                post("slow", remote.base),
                post("after", remote.base),
            ],
            "quick.status -> bad.body; slow.status -> after.body",
        ),
    )
    assert slow.arrived.is_set()
    assert (bench.get(run).status, remote.count()["/after"]) == ("failed", 0)
    found = bench.statuses(run)
    assert (found["quick"], found["bad"], found["slow"]) == ("completed", "failed", "cancelled")
    assert "after" not in found


@pytest.mark.parametrize(("idempotent", "asked"), [(True, 3), (False, 1)])
def test_what_may_not_happen_twice_is_tried_again_after_an_answer_only(
    bench: Bench, remote: Service, idempotent, asked
):
    remote.hold("/silent")
    remote.fail("/busy", times=2, status=503)
    fields = {"retry": {"max_attempts": 2, "interval_seconds": 0}, "timeout_seconds": 0.5, "idempotent": idempotent}
    nodes = [post("busy", remote.base, **fields), post("silent", remote.base, **fields)]
    run = ran(bench, made(nodes, "busy.status -> silent.body"))
    error = bench.get(run).error
    assert error is not None
    assert (error["node_id"], error["error"]) == ("silent", "Timeout")
    assert remote.count() == {"/busy": 3, "/silent": asked}


# --- what only comes before -----------------------------------------------------------------------------------------


def test_what_leads_to_after_comes_first_and_is_not_looked_at(bench: Bench):
    run = ran(
        bench,
        made(
            [
                js("first", "1"),
                js("no", "2"),
                node("which", "condition", {"condition": "trigger"}),
                js("then", "{'typed': inputs.input}", inputs={"input": "{{ 7 }}"}),
                js("dead", "3"),
                js("out_of", "inputs.input", disabled=True),
            ],
            """start.trigger -> first.after; first.output -> which.after; which.true -> then.after
            which.false -> dead.after; first.output -> out_of.after""",
        ),
        trigger=True,
    )
    statuses = bench.statuses(run)
    assert (statuses["then"], statuses["dead"]) == ("completed", "skipped")
    assert bench.value(bench.records(run)["", "then"].outputs["output"]) == {"typed": 7}
    handed_on = bench.records(run)["", "out_of"].outputs["output"]
    assert bench.value(handed_on) == 1, "a disabled node hands on what came before it"
