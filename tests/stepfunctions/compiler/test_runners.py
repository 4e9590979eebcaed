"""Which function runs a segment: the one that has the libraries of its nodes."""

from typing import Any

import pytest

from shared.nodes.registry import get
from shared.workflows.model import Document
from stepfunctions.compiler.compile import compile_document
from stepfunctions.compiler.express import express
from stepfunctions.plan import Plan


@pytest.fixture(autouse=True)
def _file_write_is_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(get("file_write")), "runner", "documents", raising=False)


def plan(nodes: list[dict[str, Any]], connections: list[tuple[str, str]], **settings: Any) -> Plan:
    ends = [dict(zip(("source_node", "source_port"), a.split("."), strict=True)) for a, _ in connections]
    for i, (end, (_, b)) in enumerate(zip(ends, connections, strict=True)):
        end["id"], (end["target_node"], end["target_port"]) = f"e{i}", b.split(".")
    document = Document.model_validate({"name": "w", "nodes": nodes, "connections": ends, "settings": settings})
    compiled = compile_document(document)
    assert compiled.plan is not None, compiled.diagnostics
    return compiled.plan


def called(states: Any) -> dict[str, str]:
    """The function of each Task state, by the state's name."""
    found: dict[str, str] = {}
    for name, state in states["States"].items():
        if "FunctionName" in state.get("Arguments", {}):
            found[name] = state["Arguments"]["FunctionName"]
        for inner in [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]:
            found |= called(inner)
    return found


WRITE = {"id": "w", "type": "file_write", "inputs": {"path": "a.txt", "content": "x"}}
ASK = {"id": "ask", "type": "human_in_the_loop", "config": {"title": "Well?"}}
CALL = {"id": "c", "type": "http_request", "inputs": {"url": "https://a.example"}}


def test_a_segment_with_a_heavy_node_runs_in_the_larger_function_and_others_do_not() -> None:
    made = plan([CALL, ASK, WRITE], [("c.response", "ask.input"), ("ask.approved", "w.content")])
    functions = called(made.skeleton)
    assert functions["segment.0"] == "${runner}"
    assert functions["segment.1"] == "${documents}"
    assert functions["question.0"] == "${tasks}"


def test_a_heavy_node_in_a_body_counts_for_the_segment_that_runs_the_body() -> None:
    loop = {"id": "each", "type": "loop", "inputs": {"items": [1]}}
    made = plan([CALL, loop, {**WRITE, "parent": "each"}], [])
    assert called(made.skeleton) == {"segment.0": "${documents}", "segment.0.parked": "${tasks}"}
    assert made.nodes["each"].runner == "documents"
    assert made.nodes["c"].runner == "runner"


def test_the_call_that_decides_on_a_pass_runs_where_the_pass_begins() -> None:
    loop = {"id": "each", "type": "loop", "inputs": {"items": [1]}}
    body = [{**WRITE, "parent": "each"}, {**ASK, "parent": "each"}]
    made = plan([loop, *body], [("w.written", "ask.input")])
    assert called(made.skeleton)["turn.0"] == "${documents}"


def test_with_granularity_node_each_has_its_own() -> None:
    made = plan([CALL, WRITE], [], granularity="node")
    functions = called(made.skeleton)
    assert functions["c"] == "${runner}"
    assert functions["w"] == "${documents}"


def test_a_heavy_node_that_is_disabled_needs_nothing() -> None:
    made = plan([{**WRITE, "disabled": True}, CALL], [])
    assert set(called(made.skeleton).values()) == {"${runner}", "${tasks}"}


def test_the_express_machine_calls_the_same_functions() -> None:
    made = plan([WRITE], [])
    assert "${documents}" in called(express(made.skeleton, made.machine)).values()
