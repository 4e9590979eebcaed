"""Values of any size up to 50 MB, unharmed, by reference — and nothing of them in a state machine's history."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.aws import states
from shared.aws.clients import client
from shared.errors import Invalid
from stepfunctions.engine.errors import NodeFailed
from stepfunctions.engine.payloads import INLINE_BYTES
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.conftest import Bench
from tests.stepfunctions.engine.faults import Service
from tests.stepfunctions.engine.test_kill import post
from tests.stepfunctions.engine.watch import answer, comes_to

ROWS = [{"id": i, "text": f"{i}: “Ünïcödé” \\ {'x' * 80}", "none": None, "at": [i, i / 7]} for i in range(35_000)]


def test_five_megabytes_through_pure_nodes(bench: Bench, remote: Service):
    remote.bodies["/rows"] = json.dumps(json.dumps(ROWS)).encode()  # JSON text as a JSON string: to be parsed
    assert len(remote.bodies["/rows"]) > 5_000_000
    made = document(
        [
            node("start", "manual_trigger"),
            node("get", "http_request", inputs={"url": f"{remote.base}/rows"}),
            node("parse", "json_parse"),
            node("odd", "filter", {"condition": "item.id % 2 = 1"}),
            node("shape", "mapper", {"expression": "{'n': item.id, 'copy': item}"}),
            node("out", "output"),
        ],
        """get.response -> parse.input; parse.output -> odd.items; odd.results -> shape.items
        shape.results -> out.value""",
    )
    run = bench.start(made)
    bench.call(run)
    assert bench.get(run).status == "completed"
    assert bench.output(run) == [{"n": r["id"], "copy": r} for r in ROWS if r["id"] % 2 == 1]
    outputs = [v for r in bench.records(run).values() for v in r.outputs.values()]
    assert sum("r" in v for v in outputs) >= 4


def test_over_fifty_megabytes_is_refused(bench: Bench, remote: Service):
    made = document(
        [
            node("start", "manual_trigger"),
            *(node(f"n{i}", "transform", {"expression": "inputs.input"}) for i in range(2)),
            node("all", "merge"),
            node("out", "output"),
        ],
        "\n".join(
            [
                *(f"start.trigger -> n{i}.input" for i in range(2)),
                *(f"n{i % 2}.output -> all.inputs" for i in range(8)),
                "all.output -> out.value",
            ]
        ),
    )
    run = bench.start(made, "x" * 7_000_000)
    with pytest.raises(NodeFailed):
        bench.call(run)
    error = bench.get(run).error
    assert error is not None
    assert (error["node_id"], error["error"]) == ("all", "ValueTooLarge")
    assert "50,000,000" in error["message"]


def test_an_input_over_fifty_megabytes_fails_its_node(bench: Bench):
    out = node("out", "output", inputs={"value": "{{ trigger }}" * 8}, on_error="continue")
    run = bench.start(document([node("start", "manual_trigger"), out]), "x" * 7_000_000)
    bench.call(run)
    error = bench.records(run)["", "out"].error
    assert error is not None
    assert (bench.get(run).status, error["error"]) == ("completed", "ValueTooLarge")
    assert "50,000,000" in error["message"]


def test_outputs_that_are_over_fifty_megabytes_together_fail_the_run(bench: Bench):
    outs = [f"out{i}" for i in range(8)]
    made = document(
        [node("start", "manual_trigger"), *(node(n, "output") for n in outs)],
        "; ".join(f"start.trigger -> {n}.value" for n in outs),
    )
    run = bench.start(made, "x" * 7_000_000)
    with pytest.raises(NodeFailed):
        bench.call(run)
    ended = bench.get(run)
    assert ended.error is not None
    assert (ended.status, ended.error["error"]) == ("failed", "ValueTooLarge")
    assert "50,000,000" in ended.error["message"]


def test_trigger_data(bench: Bench):
    made = document(
        [
            node("start", "manual_trigger"),
            node("n", "transform", {"expression": "$length(trigger.text)"}),
            node("o", "output"),
        ],
        "n.output -> o.value",
    )
    run = bench.start(made, {"text": "é" * 1_000_000})
    assert "r" in run.trigger
    bench.call(run)
    assert bench.output(run) == 1_000_000
    for bad in (float("nan"), {"at": {1, 2}}, b"bytes"):
        with pytest.raises(Invalid):
            bench.start(made, bad)
    with pytest.raises(Invalid):
        bench.start(made, "x" * 50_000_001)


@pytest.mark.parametrize("size", [INLINE_BYTES - 2, INLINE_BYTES - 1])
def test_inline_up_to_a_size(bench: Bench, size: int):
    made = document([node("start", "manual_trigger"), node("out", "output")], "start.trigger -> out.value")
    run = bench.start(made, "x" * size)
    bench.call(run)
    assert bench.output(run) == "x" * size
    assert ("v" if size + 2 <= INLINE_BYTES else "r") in (bench.get(run).final_output or {})


def test_what_looks_like_a_reference_is_a_value(bench: Bench):
    made = document([node("start", "manual_trigger"), node("out", "output")], "start.trigger -> out.value")
    for value in (
        {"r": {"sha256": "0" * 64, "size": 3}},
        {"v": 1},
        {"$": ["{{ trigger }}"]},
        None,
        "",
        [],
        {},
        0,
        False,
    ):
        run = bench.start(made, value)
        bench.call(run)
        assert bench.output(run) == value
        assert type(bench.output(run)) is type(value)


def test_many_records_in_one_call(bench: Bench):
    """Packs of pure nodes' records stay within an item's size, whatever is in them."""
    names = [f"n{i}" for i in range(120)]
    made = document(
        [
            node("start", "manual_trigger"),
            *(node(n, "transform", {"expression": f"trigger & '{n}'"}) for n in names),
            node("all", "merge"),
            node("out", "output"),
        ],
        "\n".join([*(f"{n}.output -> all.inputs" for n in names), "all.output -> out.value"]),
    )
    text = "é中" * 1_600  # 8,000 bytes as UTF-8, 19,200 as escaped JSON
    run = bench.start(made, text)
    bench.call(run)
    assert bench.output(run) == [text + n for n in names]
    assert set(bench.statuses(run)) == {"start", "all", "out", *names}


def test_a_talkative_node_fits_into_its_record(bench: Bench):
    made = document(
        [
            node("start", "manual_trigger"),
            node("say", "log", {"level": "warning"}, inputs={"message": "{{ trigger }}"}),
            node("each", "loop", inputs={"items": "{{ [1..3] }}"}),
            node("tell", "log", inputs={"message": "{{ {'item': item} }}"}, parent="each"),
        ]
    )
    run = bench.start(made, "中" * 6_000)
    bench.call(run)
    records = bench.records(run)
    (line,) = records["", "say"].logs
    assert (line["level"], line["message"]) == ("warning", "中" * 3_999 + "…")
    assert [records[f"each/{i}", "tell"].logs[0]["message"] for i in range(3)] == [
        f'{{"item": {i}}}' for i in (1, 2, 3)
    ]


def events(run) -> list[dict[str, Any]]:
    found = client("stepfunctions").get_execution_history(
        executionArn=states.execution_arn(run.machine, run.execution_name), includeExecutionData=True, maxResults=1000
    )
    return list(found["events"])


def test_history_and_definition_hold_control_only(machines: Machines, remote: Service, owner):
    secret = "Grace Hopper, +1 555 0100"
    remote.bodies["/before"] = json.dumps({"person": secret, "rows": ["row of " + secret] * 2_000}).encode()
    remote.fail("/sad", status=404)
    made = document(
        [
            node("start", "manual_trigger"),
            post("before", remote.base),
            node("ask", "human_in_the_loop", {"title": f"Is it {secret}?", "instructions": "{{ trigger.person }}"}),
            node("rest", "delay", {"ms": 1_100}),
            post("sad", remote.base),
            node("why", "transform", {"expression": "inputs.input.message"}),
            node("bad", "transform", {"expression": "$number(trigger.person)"}),
            node("out", "output"),
        ],
        """start.trigger -> before.body; before.response -> ask.input; ask.approved -> sad.body
        start.trigger -> rest.input; rest.output -> out.value; sad.error -> why.input; why.output -> bad.input""",
    )
    run = machines.start(made, {"person": secret})
    comes_to(machines, run, "paused", "human_input")
    answer(machines, run, owner.user.id, "ask")
    ended = machines.until(run)
    assert (ended.status, ended.error and ended.error["error"]) == ("failed", "ExpressionError")
    described = client("stepfunctions").describe_state_machine(stateMachineArn=states.machine_arn(run.machine))
    execution = states.describe_execution(run.machine, run.execution_name)
    history = events(run)
    assert len(history) > 10
    told = json.dumps([history, described, execution], default=str, ensure_ascii=False)
    for word in (
        "Grace",
        "Hopper",
        "+1 555",
        "row of",
        "manual_trigger",
        "nodes.",
        "trigger.person",
        "$number",
        remote.base,
    ):
        assert word not in told, word
    largest = max(len(json.dumps(e, default=str)) for e in history)
    assert largest < 6_000  # nothing grows with the data
    asked = [e for e in history if '"token"' in e.get("taskScheduledEventDetails", {}).get("parameters", "")]
    (token,) = (json.loads(e["taskScheduledEventDetails"]["parameters"])["Payload"]["token"] for e in asked)
    assert told.count(token) == 1  # where Step Functions itself put it: in what the tasks function is given
