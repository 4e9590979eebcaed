"""Machines by hand, their states counted by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from stepfunctions.compiler.compile import compile_document
from stepfunctions.plan import Plan
from stepfunctions.transitions import calls, longest_path, passes_of, transitions
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.scenarios import SCENARIOS


def machine(start: str, **states: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": start, "States": states}


def task(following: str | None = None, **more: Any) -> dict[str, Any]:
    return {"Type": "Task", **({"Next": following} if following else {"End": True}), **more}


def turn(following: str, position: int) -> dict[str, Any]:
    return task(following, Arguments={"Payload": {"turn": position}})


def choice(default: str, *targets: str) -> dict[str, Any]:
    return {"Type": "Choice", "Choices": [{"Condition": "{% true %}", "Next": t} for t in targets], "Default": default}


DONE = {"Type": "Succeed"}
LATE = [{"ErrorEquals": ["States.Timeout"], "Next": "late"}]
PAUSED = [{"ErrorEquals": ["Paused"], "Next": "parked"}]

CYCLE = machine("decide", decide=turn("more", 0), more=choice("after", "ask"), ask=task("decide"), after=task())
NESTED = machine(
    "outer",
    outer=turn("outer_more", 0),
    outer_more=choice("after", "inner"),
    inner=turn("inner_more", 1),
    inner_more=choice("outer", "ask"),
    ask=task("inner"),
    after=task(),
)
MAP = machine(
    "decide",
    decide=turn("more", 0),
    more=choice("over", "items"),
    items={"Type": "Map", "ItemProcessor": machine("a", a=task("b"), b=task()), "MaxConcurrency": 4, "Next": "decide"},
    over=DONE,
)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (machine("a", a=task("b"), b=task()), (2, 2, 2)),
        (machine("a", a=task("b", Catch=PAUSED), b=task(), parked=task("a")), (2, 2, 2)),  # nobody pauses
        (machine("a", a=task(Catch=LATE), late=DONE), (1, 1, 2)),
        (machine("a", a=task("b", Catch=LATE), b=task("late"), late=DONE), (2, 3, 3)),  # skips b
        (
            machine(
                "p", p={"Type": "Parallel", "Branches": [machine("a", a=task("b"), b=task()), machine("c", c=task())]}
            ),
            (4, 4, 4),
        ),
        # A choice of two ways that come together again, and of two that do not.
        (machine("a", a=choice("b", "c"), b=task("d"), c=task("e"), e=task("d"), d=task()), (3, 4, 4)),
        (machine("a", a=choice("b", "c"), b=task("d"), c=task(), d=task()), (2, 3, 3)),
        (machine("a", a={"Type": "Map", "ItemProcessor": machine("b", b=task())}), (1, 11, None)),
        # decide, more, after; a pass is ask, decide, more
        (CYCLE, (3, 33, None)),
        (machine("a", a=task("again"), again=choice("done", "a"), done=DONE), (3, 23, None)),  # straight back
        # A pass of the outer: 4 states and 10 passes of the inner with 3 each.
        (NESTED, (3, 343, None)),
        # decide, more, over; items, decide, more and 10 times 2
        (MAP, (3, 26, None)),
    ],
)
def test_counted_by_hand(made: dict[str, Any], expected: tuple[int, int, int | None]):
    assert tuple(transitions(made).values()) == expected


def test_a_cycle_that_has_a_limit():
    assert transitions(CYCLE, [(0, 4, 4)]) == {"least": 3, "expected": 15, "most": 15}
    assert transitions(CYCLE, [(1, 1, 3)]) == {"least": 6, "expected": 6, "most": 12}
    # The inner five times in each of the outer's two passes.
    assert transitions(NESTED, [(0, 2, 2), (0, 5, 5)]) == {"least": 3, "expected": 3 + 2 * 19, "most": 3 + 2 * 19}
    assert transitions(NESTED, [(0, 1, 1), (0, 5, math.inf)]) == {"least": 3, "expected": 22, "most": None}


def test_a_cycle_that_a_question_ends():
    """Who does not answer goes on like who does: back to the call that decides."""
    late = [{"ErrorEquals": ["States.Timeout"], "Next": "decide"}]
    states = CYCLE["States"] | {"ask": task("decide", Catch=late)}
    assert transitions({"StartAt": "decide", "States": states}) == transitions(CYCLE)


def test_calls_are_counted_like_states():
    question = task("decide", Arguments={"Payload": {"question": 0}})
    states = CYCLE["States"] | {"ask": question}
    # The first decision and what comes after; a pass asks and decides.
    assert calls({"StartAt": "decide", "States": states}, [(0, 4, 4)]) == {"runner": 6, "tasks": 4}
    assert transitions(MAP, of=lambda state: state["Type"] == "Succeed") == {"least": 1, "expected": 1, "most": 1}


def test_thousands_of_states_in_a_row():
    states = {f"s{i}": task(f"s{i + 1}") for i in range(5_000)} | {"s5000": task()}
    assert transitions({"StartAt": "s0", "States": states})["expected"] == 5_001


def call(node_id: str, **fields: Any) -> dict[str, Any]:
    return node(node_id, "http_request", inputs={"url": "https://example.com"}, **fields)


def plan_of(nodes: list[dict[str, Any]], wires: str) -> Plan:
    compiled = compile_document(document([node("s", "manual_trigger"), *nodes], wires))
    assert compiled.plan is not None, compiled.diagnostics
    return compiled.plan


def test_the_longest_path_goes_through_the_branch_with_the_most_states():
    plan = plan_of(
        [node("q", "human_in_the_loop"), node("r", "human_in_the_loop"), node("d", "delay", {"ms": 60_000}), call("z")],
        "s.trigger -> q.input; s.trigger -> r.input; r.response -> d.input; q.response -> z.body; d.output -> z.body",
    )
    found = longest_path(plan)
    assert [n for n in found["nodes"] if n != "s"] == ["r", "d", "z"]
    # The Parallel, the question, a call that sets the timer, the timer, the last call.
    assert found["states"] == 5
    assert found["calls"] == 3


def test_of_a_call_the_longest_chain_is_named():
    plan = plan_of(
        [call("a"), call("b"), call("c"), node("ask", "human_in_the_loop")],
        "s.trigger -> a.body; s.trigger -> b.body; b.status -> c.body; a.status -> ask.input; c.status -> ask.input",
    )
    assert longest_path(plan) == {"states": 3, "calls": 3, "nodes": ["s", "b", "c", "ask"]}


def test_passes_of_containers_that_rest():
    def container(kind: str, **config: Any) -> tuple[int, int, float]:
        port = {"loop": "items", "while_loop": "initial", "retry": "input"}[kind]
        plan = plan_of([node("c", kind, config), node("q", "human_in_the_loop", parent="c")], f"s.trigger -> c.{port}")
        (found,) = passes_of(plan.nodes, plan.turns)
        assert (transitions(plan.skeleton, [found])["most"] is None) is (kind == "loop")
        return found

    assert container("loop") == (0, 10, math.inf)
    assert container("while_loop", condition="state < 3", max_iterations=4) == (0, 4, 4)
    assert container("while_loop", condition="state < 3") == (0, 10, 100)
    assert container("retry", max_retries=2) == (1, 1, 3)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_what_is_said_of_every_scenario(scenario: Any):
    plan = compile_document(scenario.at("http://localhost", "segment")).plan
    assert plan is not None
    found = transitions(plan.skeleton, passes_of(plan.nodes, plan.turns))
    assert found["least"] <= found["expected"] <= (found["most"] or math.inf)
    path = longest_path(plan)
    assert 1 <= path["calls"] <= path["states"] <= found["expected"]
    assert set(path["nodes"]) <= set(plan.nodes)
