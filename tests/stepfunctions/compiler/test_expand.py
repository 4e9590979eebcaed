"""Composites get their bodies, and documents know nothing of that."""

from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.registry import find, get
from stepfunctions.compiler.compile import check, compile_document
from stepfunctions.compiler.expand import expand
from stepfunctions.compiler.graph import Graph
from stepfunctions.compiler.verify import verify
from stepfunctions.explain import explain
from stepfunctions.plan import Plan
from tests.stepfunctions.compiler.documents import document, node

WIRES = "start.trigger -> clerk.input; clerk.output -> out.value"


def made(config: dict[str, Any] | None = None, granularity: str = "segment", **fields: Any):
    nodes = [node("start", "manual_trigger"), node("clerk", "agent", {"model": "m", **(config or {})}, **fields)]
    return document([*nodes, node("out", "output")], WIRES, settings={"granularity": granularity})


def plan_of(document_: Any) -> Plan:
    compiled = compile_document(document_)
    assert compiled.plan is not None, compiled.diagnostics
    assert not list(verify(compiled.plan.skeleton))
    return compiled.plan


@pytest.mark.parametrize(
    ("config", "waits"),
    [
        ({}, False),
        ({"tools": ["look"]}, True),
        ({"tools": ["look"], "approval": "never"}, False),
        ({"mcp_servers": ["crm"]}, False),
        ({"mcp_servers": ["crm"], "approval": "always"}, True),
        ({"agent": "boss"}, True),
        ({"agent": "boss", "tools": []}, False),
        ({"agent": "boss", "approval": "never"}, False),
    ],
)
@pytest.mark.parametrize("granularity", ["segment", "node"])
def test_an_agent_waits_only_where_a_person_may_be_asked(config: dict[str, Any], waits: bool, granularity: str):
    plan = plan_of(made(config, granularity))
    assert [q.node for q in plan.questions] == (["clerk.approval"] if waits else [])
    assert plan.nodes["clerk"].opened is waits
    assert {n for n in plan.nodes if n.startswith("clerk.")} >= {"clerk.model", "clerk.tools", "clerk.next"}
    assert plan.nodes["clerk.call"].scope == "clerk.tools"
    if not waits and granularity == "segment":
        assert [s.nodes for s in plan.segments] == [("start", "clerk", "out")]


def test_what_is_said_of_the_node_holds_for_its_parts():
    fields = {"retry": {"max_attempts": 3}, "timeout_seconds": 77, "idempotent": False}
    plan = plan_of(made({"max_parallel": 3, "on_tool_error": "fail"}, **fields))
    for part in ("clerk.model", "clerk.call"):
        bound = plan.nodes[part]
        assert (bound.timeout_seconds, bound.idempotent) == (77, False)
        assert bound.retry is not None
        assert bound.retry["max_attempts"] == 3
    assert plan.nodes["clerk.tools"].config["max_concurrency"] == 3
    assert plan.nodes["clerk.call"].config["on_tool_error"] == "fail"
    assert plan.nodes["clerk.memory"].retry is None


def test_a_plan_with_an_agent_is_read_back_and_explained():
    plan = plan_of(made({"tools": ["look"], "max_steps": 4}))
    assert Plan.from_dict(plan.as_dict()).digest == plan.digest
    told = explain(plan)
    assert told["tier"]["name"] == "standard"
    assert [t["node"] for t in told["turns"]] == ["clerk", "clerk.approvals"]


def test_ten_agents_one_of_them_deep_inside():
    nodes = [node("start", "manual_trigger"), node("out", "output")]
    parent = None
    for level in range(5):
        nodes.append(node(f"loop{level}", "loop", inputs={"items": [1]}, parent=parent))
        parent = f"loop{level}"
    nodes.append(node("deep", "agent", {"agent": "boss"}, inputs={"input": "x"}, parent=parent))
    nodes += [node(f"a{i}", "agent", {"agent": "boss"}, inputs={"input": "x"}) for i in range(9)]
    for granularity, most in (("segment", 90_000), ("node", 150_000)):
        plan = plan_of(document(nodes, settings={"granularity": granularity}))
        assert len(str(plan.skeleton)) < most
        assert len(plan.questions) == 10


def test_workflows_of_one_shape_share_a_machine():
    plans = [plan_of(made({"agent": name, "instructions": name})) for name in ("boss", "clerk")]
    assert plans[0].machine == plans[1].machine


def test_a_disabled_agent_passes_its_input_on():
    plan = plan_of(made(disabled=True))
    assert (plan.nodes["clerk"].kind, set(plan.nodes)) == ("pure", {"start", "clerk", "out"})


def test_what_has_no_composite_stays_as_it_is():
    graph = Graph(document([node("start", "manual_trigger")]))
    assert expand(graph) is graph


@pytest.mark.parametrize(
    ("nodes", "code", "node_id"),
    [
        ([node("a", "agent.model")], "unknown_type", "a"),
        ([node("a", "_agent_model")], "unknown_type", "a"),
        (
            [node("a", "agent", {"model": "m"}, inputs={"input": 1}), node("b", "log", parent="a")],
            "not_a_container",
            "b",
        ),
        ([node("a", "agent", inputs={"input": 1})], "invalid_config", "a"),
        ([node("a", "agent", {"model": "m"})], "missing_input", "a"),
        (
            [node("a", "agent", {"model": "m", "output_schema": {"type": 5}}, inputs={"input": 1})],
            "invalid_schema",
            "a",
        ),
        ([node("a", "agent", {"model": "m", "max_steps": 0}, inputs={"input": 1})], "invalid_config", "a"),
        ([node("a", "agent", {"model": "m"}, inputs={"input": "{{ state }}"})], "unknown_name", "a"),
        ([node("a", "agent", {"model": "m"}, inputs={"input": "{{ nodes.`a.model`.state }}"})], "unknown_name", "a"),
        ([node("a", "agent", {"model": "m"}, inputs={"input": 1}, timeout_seconds=900)], "timeout_too_long", "a"),
        (
            [node("a", "agent", {"model": "m", "instructions": "{{ nodes.gone.x }}"}, inputs={"input": 1})],
            "unknown_name",
            "a",
        ),
    ],
)
def test_what_is_wrong_is_said_of_the_document(nodes: list[dict[str, Any]], code: str, node_id: str):
    found = [(d.code, d.node_id) for d in check(document(nodes)) if d.severity == "error"]
    assert (code, node_id) in found


def test_parts_are_types_that_nobody_lists():
    for name in ("agent.model", "agent.tool", "agent.memory", "agent.next"):
        assert find(name) is None
        assert get(name).type == name
    with pytest.raises(KeyError):
        get("agent.other")
