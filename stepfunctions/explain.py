"""What a plan costs: its segments, its states, the transitions of a run, and dollars per 1,000 runs.

Everything is for a run that completes without pauses, and counts attempts once. Prices are the public ones of
us-east-1; what is assumed beside them is part of the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, Final

from stepfunctions.plan import Plan
from stepfunctions.tier import tier_of
from stepfunctions.transitions import ITEMS, Transitions, calls, longest_path, passes_of, transitions

PRICES: Final[Mapping[str, float]] = {
    "step_functions_per_1000_transitions": 0.025,
    "step_functions_express_per_million_requests": 1.00,
    "step_functions_express_per_gb_second": 0.00001667,
    "lambda_per_million_requests": 0.20,
    "lambda_arm64_per_gb_second": 0.0000133334,
    "dynamodb_per_million_write_units": 0.625,
    "dynamodb_per_million_read_units": 0.125,
}
EXPRESS_MB: Final = 64  # the least that is billed; a skeleton and its input take less
RUNNER_MB: Final = 1_024
TASKS_MB: Final = 512
ASSUMED: Final[Mapping[str, float]] = {
    "seconds_per_segment": 0.5,
    "seconds_per_question": 0.1,
    "items_per_loop": ITEMS,
    "kb_per_record": 1,
}
# Of the run's own record, which also stands in an index: created, begun, its start noted, closed.
_RUN_WRITES: Final = 2 * 4
_READS_PER_CALL: Final = 4  # the run, its journal, the run again: consistent reads


def explain(plan: Plan) -> dict[str, Any]:
    """Segments, states, transitions, calls, writes and cost; and what one state per node would take."""
    from stepfunctions.compiler.compile import skeleton_of

    each = skeleton_of(plan.nodes, "node", plan.timeout_seconds)
    passes, each_passes = passes_of(plan.nodes, plan.turns), passes_of(plan.nodes, each.turns)
    entered, called = transitions(plan.skeleton, passes), calls(plan.skeleton, passes)
    each_entered, each_called = transitions(each.skeleton, each_passes), calls(each.skeleton, each_passes)
    tier = tier_of(plan)
    return {
        "tier": {"name": tier.name, "why": tier.why},
        "segments": [{"segment": s.id, "nodes": list(s.nodes), "timers": list(s.arms)} for s in plan.segments],
        "turns": [{"turn": i, "node": t.node, "nodes": list(t.nodes)} for i, t in enumerate(plan.turns)],
        "questions": [
            {"question": i, "node": q.node, "nodes": list(q.nodes), "timeout_seconds": q.timeout_seconds}
            for i, q in enumerate(plan.questions)
        ],
        "states": states(plan.skeleton),
        "transitions": entered,
        "longest_path": longest_path(plan),
        "calls": called,
        "writes": _writes(plan, sum(called.values())),
        "cost_per_1000_runs": _cost(plan, entered, called, tier.name == "express"),
        "one_state_per_node": {
            "states": len(states(each.skeleton)),
            "transitions": each_entered,
            "calls": each_called,
            "cost_per_1000_runs": _cost(plan, each_entered, each_called),
        },
        "prices": dict(PRICES),
        "assumed": {**ASSUMED, "express_mb": EXPRESS_MB, "runner_mb": RUNNER_MB, "tasks_mb": TASKS_MB},
    }


def states(machine: Mapping[str, Any], within: str = "") -> list[dict[str, str]]:
    """Every state of a machine, `{name, type, within}`; `within` is the Parallel or Map state that holds it."""
    found = []
    for name, state in machine["States"].items():
        found.append({"name": name, "type": state["Type"], "within": within})
        for inner in (*state.get("Branches", ()), *([state["ItemProcessor"]] if "ItemProcessor" in state else ())):
            found += states(inner, name)
    return found


def _writes(plan: Plan, times: int) -> int:
    """Write units of a run: two for each node that touches the world or waits, and a pack of pure nodes a call."""
    units = _RUN_WRITES
    for node in plan.nodes.values():
        if not node.pure and node.kind != "trigger":
            units += 2 * int(ASSUMED["items_per_loop"]) ** _depth(plan, node.scope)
    return units + 2 * times  # the run's record is begun again by every call


def _depth(plan: Plan, scope: str) -> int:
    depth = 0
    while scope:
        depth, scope = depth + 1, plan.nodes[scope].scope
    return depth


def _cost(plan: Plan, entered: Transitions, called: Mapping[str, int], express: bool = False) -> dict[str, float]:
    """Dollars for 1,000 runs."""
    seconds = called["runner"] * ASSUMED["seconds_per_segment"] * RUNNER_MB / 1024
    seconds += called["tasks"] * ASSUMED["seconds_per_question"] * TASKS_MB / 1024
    times = sum(called.values())
    parts = {
        "step_functions": _express(called["runner"])
        if express
        else entered["expected"] * PRICES["step_functions_per_1000_transitions"],
        "lambda": times * PRICES["lambda_per_million_requests"] / 1e3
        + seconds * PRICES["lambda_arm64_per_gb_second"] * 1e3,
        "dynamodb": _writes(plan, times) * PRICES["dynamodb_per_million_write_units"] / 1e3
        + times * _READS_PER_CALL * PRICES["dynamodb_per_million_read_units"] / 1e3,
    }
    return {name: round(value, 6) for name, value in {**parts, "total": sum(parts.values())}.items()}


def _express(times: int) -> float:
    """Dollars for 1,000 Express executions. Their time is billed in tenths of a second."""
    gb_seconds = ceil(times * ASSUMED["seconds_per_segment"] * 10) / 10 * EXPRESS_MB / 1024
    requests = PRICES["step_functions_express_per_million_requests"] / 1e3
    return requests + gb_seconds * PRICES["step_functions_express_per_gb_second"] * 1e3
