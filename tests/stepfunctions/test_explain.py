from __future__ import annotations

import pytest

from infrastructure.local.cloud import properties, template
from stepfunctions import explain
from stepfunctions.compiler.compile import compile_document
from stepfunctions.plan import Plan
from stepfunctions.transitions import transitions
from tests.stepfunctions.compiler.documents import document, node


def plan_of(nodes, wires="", **settings) -> Plan:
    compiled = compile_document(document(nodes, wires, settings=settings))
    assert compiled.plan is not None, compiled.diagnostics
    return compiled.plan


def call(node_id, **fields):
    return node(node_id, "http_request", inputs={"url": "https://example.com"}, **fields)


ONE = plan_of([node("s", "manual_trigger"), call("a"), call("b")], "s.trigger -> a.body; a.status -> b.body")
ASKING = plan_of(
    [node("s", "manual_trigger"), call("a"), node("ask", "human_in_the_loop"), call("b")],
    "s.trigger -> a.body; a.status -> ask.input; ask.approved -> b.body",
)
SIDE_BY_SIDE = plan_of(
    [node("s", "manual_trigger"), node("q", "human_in_the_loop"), node("r", "human_in_the_loop"), node("m", "merge")],
    "s.trigger -> q.input; s.trigger -> r.input; q.response -> m.inputs; r.response -> m.inputs",
)
RESTING = plan_of(
    [node("s", "manual_trigger"), node("d", "delay", {"ms": 60_000}), call("b")],
    "s.trigger -> d.input; d.output -> b.body",
)


@pytest.mark.parametrize(
    ("plan", "expected", "most"),
    [
        (ONE, 1, 1),
        (ASKING, 3, 3),  # segment, question, segment: who does not answer is found by the next segment
        (SIDE_BY_SIDE, 4, 6),  # the Parallel, a question in each branch, the last segment; a branch may end in Succeed
        (RESTING, 3, 3),  # a call that computes the moment, the Wait, a call
    ],
)
def test_transitions_of_a_run(plan, expected, most):
    assert transitions(plan.skeleton) == {"least": expected, "expected": expected, "most": most}


def test_a_long_chain_is_counted():
    """One state per node, a thousand of them."""
    nodes = [node("s", "manual_trigger")] + [call(f"n{i}") for i in range(900)]
    wires = "s.trigger -> n0.body;" + ";".join(f"n{i}.status -> n{i + 1}.body" for i in range(899))
    plan = plan_of(nodes, wires)
    found = explain.explain(plan)
    assert found["transitions"]["expected"] == 1
    assert found["one_state_per_node"]["transitions"]["expected"] == 900


def test_what_is_shown_adds_up():
    found = explain.explain(ASKING)
    assert [s["nodes"] for s in found["segments"]] == [["s", "a"], ["b"]]
    assert [(q["node"], q["nodes"]) for q in found["questions"]] == [("ask", ["ask"])]
    assert found["turns"] == []
    assert found["calls"] == {"runner": 2, "tasks": 1}
    cost = found["cost_per_1000_runs"]
    assert cost["step_functions"] == pytest.approx(3 * 0.025)
    # 2 calls of half a second in 1 GB, 1 of a tenth in half of that
    assert cost["lambda"] == pytest.approx(3 * 0.0002 + (1.0 + 0.05) * 0.0133334, abs=1e-6)
    assert cost["total"] == pytest.approx(cost["step_functions"] + cost["lambda"] + cost["dynamodb"], abs=2e-6)
    assert {s["type"] for s in found["states"]} == {"Task"}
    apart = found["one_state_per_node"]
    assert apart["transitions"]["expected"] == 3
    assert apart["calls"] == {"runner": 2, "tasks": 1}


def test_one_state_per_node_costs_more():
    found = explain.explain(ONE)
    apart = found["one_state_per_node"]
    assert apart["transitions"]["expected"] == 2
    assert apart["cost_per_1000_runs"]["total"] > found["cost_per_1000_runs"]["total"]


def test_the_calls_that_turn_a_container_are_named():
    nodes = [
        node("s", "manual_trigger"),
        node("each", "loop"),
        node("ask", "human_in_the_loop", parent="each"),
        node("o", "output"),
    ]
    found = explain.explain(plan_of(nodes, "s.trigger -> each.items; each.results -> o.value"))
    assert found["turns"] == [{"turn": 0, "node": "each", "nodes": ["s"]}]
    assert found["tier"] == {"name": "standard", "why": "ask waits, which an Express execution cannot"}


def test_nodes_in_loops_are_written_once_an_item():
    flat = explain.explain(ONE)["writes"]
    nested = plan_of(
        [node("s", "manual_trigger"), node("l", "loop"), call("a", parent="l")],
        "s.trigger -> l.items; l.item -> a.body",
    )
    # In the loop ten times two; the loop itself, which holds a call, two. Outside two nodes of two each.
    assert explain.explain(nested)["writes"] == flat - 4 + 20 + 2


def test_the_memory_is_that_of_the_template():
    default = template()["Globals"]["Function"]["MemorySize"]
    assert properties("RunnerFunction")["MemorySize"] == explain.RUNNER_MB
    assert properties("TasksFunction").get("MemorySize", default) == explain.TASKS_MB
