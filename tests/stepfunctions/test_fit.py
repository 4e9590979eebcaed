"""What of a run's records does not fit another version, found without a run."""

from __future__ import annotations

import time
from typing import Any

import pytest

from shared.runs.model import NodeRecord
from stepfunctions.compiler.compile import compile_document
from stepfunctions.fit import Fit
from stepfunctions.plan import Plan
from tests.stepfunctions.compiler.documents import document, node

URL = {"url": "https://example.com"}
CASES = [("vip", "true"), ("large", "true")]


def plan(nodes: list[dict[str, Any]], wires: str = "", **fields: Any) -> Plan:
    compiled = compile_document(document(nodes, wires, **fields))
    assert compiled.plan is not None, compiled.diagnostics
    return compiled.plan


def codes(old: Plan, new: Plan, *kept: NodeRecord, trigger: str | None = None) -> dict[str | None, str]:
    return {p.node_id: p.code for p in Fit(old, new, kept).problems(trigger)}


def get(node_id: str = "get", config: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return node(node_id, "http_request", config, **{"inputs": URL, **fields})


def test_a_plan_fits_itself():
    made = plan(
        [node("s", "manual_trigger"), get(), node("each", "loop", inputs={"items": [1]}), get("in", parent="each")],
        "s.trigger -> get.body",
    )
    kept = [NodeRecord("get", "", "completed"), NodeRecord("in", "each/0", "failed", handled=True)]
    assert codes(made, made, *kept, trigger="s") == {}


def test_an_open_question_counts_as_it_was_asked():
    old, new = (plan([node("ask", "human_in_the_loop", {"title": title})]) for title in ("One?", "Two?"))
    assert codes(old, new, NodeRecord("ask", "", "paused", task="tk_1")) == {"ask": "question_changed"}
    assert codes(old, old, NodeRecord("ask", "", "paused", task="tk_1")) == {}


def test_how_a_failure_was_handled_counts_if_there_was_one():
    old, new = (plan([get(on_error=policy)]) for policy in ("continue", "branch"))
    assert codes(old, new, NodeRecord("get", "", "failed")) == {"get": "on_error_changed"}
    assert codes(old, new, NodeRecord("get", "", "completed")) == {}


@pytest.mark.parametrize("field", [{"retry": {"max_attempts": 3}}, {"timeout_seconds": 5}, {"idempotent": False}])
def test_how_often_and_how_long_it_was_tried_does_not_count(field: dict[str, Any]):
    assert codes(plan([get()]), plan([get(**field)]), NodeRecord("get", "", "completed")) == {}


def test_a_given_value_needs_its_port():
    old, new = (plan([node("which", "switch", {"cases": {case: "true"}})]) for case in ("large", "small"))
    given = NodeRecord("which", "", "completed", outputs={"large": {"v": 1}}, origin="pinned")
    assert codes(old, new, given) == {"which": "ports_changed"}
    assert codes(old, old, given) == {}
    always = NodeRecord("which", "", "completed", outputs={"default": {"v": 1}}, origin="edited")
    assert codes(old, new, always) == {}


def test_the_order_of_cases_is_part_of_them():
    old, new = (plan([node("which", "switch", {"cases": dict(cases)})]) for cases in (CASES, reversed(CASES)))
    assert old.digest != new.digest
    assert codes(old, new, NodeRecord("which", "", "completed", outputs={"large": {"v": 1}})) == {
        "which": "config_changed"
    }


def test_the_order_in_any_other_object_is_not():
    headers = {"b": "1", "a": "2"}
    old, new = (plan([get(inputs={**URL, "headers": dict(h)})]) for h in (headers.items(), sorted(headers.items())))
    assert old.digest != new.digest
    assert codes(old, new, NodeRecord("get", "", "completed")) == {}


def loop(config: dict[str, Any] | None = None, inner: dict[str, Any] | None = None, *more: dict[str, Any]) -> Plan:
    return plan([node("each", "loop", config, inputs={"items": [1, 2]}), get("in", inner, parent="each"), *more])


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (loop({"max_concurrency": 3}), {}),
        (loop({"on_item_error": "skip"}), {}),
        (loop(None, None, get("behind", parent="each")), {}),
        (loop({"result": "1"}), {"each": "config_changed"}),
        (loop(None, {"method": "PUT"}), {"in": "config_changed"}),
        (loop(None, None, node("rest", "delay", {"ms": 5_000}, parent="each")), {"each": "body_changed"}),
    ],
)
def test_of_a_loop_that_is_not_over_only_its_pace_may_change(new: Plan, expected: dict[str, str]):
    assert codes(loop(), new, NodeRecord("in", "each/0", "completed")) == expected


def test_of_a_loop_that_is_over_nothing_may_change():
    over = NodeRecord("each", "", "completed")
    assert codes(loop(), loop(), over) == {}
    for new in (loop({"max_concurrency": 3}), loop(None, {"method": "PUT"}), loop(None, None, get("x", parent="each"))):
        assert set(codes(loop(), new, over)) == {"each"}


def test_what_a_pass_reads_from_outside_counts():
    def reading(expression: str) -> Plan:
        inner = get("in", inputs={"url": "https://example.com/{{ nodes.t.output }}"}, parent="each")
        each = node("each", "loop", inputs={"items": [1]})
        return plan([node("t", "transform", {"expression": expression}), each, inner])

    assert codes(reading("1"), reading("2"), NodeRecord("in", "each/0", "completed")) == {"in": "sources_changed"}
    assert codes(reading("1"), reading("2"), NodeRecord("each", "", "completed")) == {"each": "sources_changed"}


def test_what_a_pass_has_yet_to_read_does_not_count():
    def reading(expression: str) -> Plan:
        later = get("later", inputs={"url": "https://example.com/{{ nodes.t.output }}"}, parent="each")
        each = node("each", "loop", {"result": "nodes.later.status"}, inputs={"items": [1]})
        made = [node("t", "transform", {"expression": expression}), each, get("in", parent="each"), later]
        return plan(made, "in.status -> later.body")

    assert codes(reading("1"), reading("2"), NodeRecord("in", "each/0", "completed")) == {}
    later = NodeRecord("later", "each/0", "completed")
    assert codes(reading("1"), reading("2"), later) == {"later": "sources_changed"}


def test_a_run_that_began_at_no_trigger_does_not_fit_a_version_with_one():
    old, new = plan([get()]), plan([node("s", "manual_trigger"), get()])
    assert codes(old, new) == {None: "trigger_changed"}
    assert codes(new, old, trigger="s") == {"s": "node_gone"}


def test_a_large_workflow_is_compared_in_a_moment():
    """As many nodes as there may be, each behind the one before."""
    nodes = [get(f"n{i}") if i % 2 else node(f"n{i}", "transform", {"expression": "1"}) for i in range(900)]
    wires = "; ".join(
        f"n{i}.{'status' if i % 2 else 'output'} -> n{i + 1}.{'input' if i % 2 else 'body'}" for i in range(899)
    )
    made = plan(nodes, wires)
    kept = [NodeRecord(f"n{i}", "", "completed") for i in range(1, 900, 2)]
    began = time.perf_counter()
    assert codes(made, made, *kept) == {}
    assert time.perf_counter() - began < 5
