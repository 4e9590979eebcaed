"""What a plan costs: its segments, its states, the transitions of a run, and dollars per 1,000 runs.

Everything is for a run that completes without pauses, and counts attempts once. Prices are the public ones of
us-east-1; what is assumed beside them is part of the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stepfunctions.plan import Plan

PRICES: Final[Mapping[str, float]] = {
    "step_functions_per_1000_transitions": 0.025,
    "lambda_per_million_requests": 0.20,
    "lambda_arm64_per_gb_second": 0.0000133334,
    "dynamodb_per_million_write_units": 0.625,
    "dynamodb_per_million_read_units": 0.125,
}
RUNNER_MB: Final = 1_024
TASKS_MB: Final = 512
ASSUMED: Final[Mapping[str, float]] = {
    "seconds_per_segment": 0.5,
    "seconds_per_question": 0.1,
    "items_per_loop": 10,
    "kb_per_record": 1,
}
# Of the run's own record, which also stands in an index: created, begun, its start noted, closed.
_RUN_WRITES: Final = 2 * 4
_READS_PER_CALL: Final = 4  # the run, its journal, the run again: consistent reads


def explain(plan: Plan) -> dict[str, Any]:
    """Segments, states, transitions, calls, writes and cost; and what one state per node would take."""
    from stepfunctions.compiler.emit import emit
    from stepfunctions.compiler.segments import segments

    apart = segments(plan.nodes, scope="", granularity="node")
    each = emit(apart, timeout_seconds=plan.timeout_seconds, readable=True)
    each_transitions = transitions(each.skeleton)
    return {
        "segments": [{"segment": s.id, "nodes": list(s.nodes), "timers": list(s.arms)} for s in plan.segments],
        "questions": [
            {"question": i, "node": q.node, "nodes": list(q.nodes), "timeout_seconds": q.timeout_seconds}
            for i, q in enumerate(plan.questions)
        ],
        "states": states(plan.skeleton),
        "transitions": transitions(plan.skeleton),
        "calls": {"runner": len(plan.segments), "tasks": len(plan.questions)},
        "writes": _writes(plan, len(plan.segments) + len(plan.questions)),
        "cost_per_1000_runs": _cost(plan, transitions(plan.skeleton), len(plan.segments), len(plan.questions)),
        "one_state_per_node": {
            "states": len(states(each.skeleton)),
            "transitions": each_transitions,
            "calls": {"runner": len(each.segments), "tasks": len(each.questions)},
            "cost_per_1000_runs": _cost(plan, each_transitions, len(each.segments), len(each.questions)),
        },
        "prices": dict(PRICES),
        "assumed": {**ASSUMED, "runner_mb": RUNNER_MB, "tasks_mb": TASKS_MB},
    }


def states(machine: Mapping[str, Any], within: str = "") -> list[dict[str, str]]:
    """Every state of a machine, `{name, type, within}`; `within` is the Parallel state that holds it."""
    found = []
    for name, state in machine["States"].items():
        found.append({"name": name, "type": state["Type"], "within": within})
        for branch in state.get("Branches", ()):
            found += states(branch, name)
    return found


def transitions(machine: Mapping[str, Any]) -> dict[str, int]:
    """How many states a run enters: at least, as expected (questions are answered in time), at most (none is)."""
    all_states: Mapping[str, Any] = machine["States"]
    chain = [machine["StartAt"]]
    while "Next" in all_states[chain[-1]]:
        chain.append(all_states[chain[-1]]["Next"])
    ahead: dict[str, tuple[int, int, int]] = {}  # from each state to the end, itself included
    for name in reversed(chain):
        state = all_states[name]
        least, expected, most = ahead.get(state.get("Next", ""), (0, 0, 0))
        for caught in state.get("Catch", ()):
            if "States.Timeout" in caught["ErrorEquals"]:
                lapsed = ahead.get(caught["Next"], (1, 1, 1))  # a state of its own that only ends
                least, most = min(least, lapsed[0]), max(most, lapsed[2])
        inside = [transitions(branch) for branch in state.get("Branches", ())]
        ahead[name] = (
            1 + least + sum(b["least"] for b in inside),
            1 + expected + sum(b["expected"] for b in inside),
            1 + most + sum(b["most"] for b in inside),
        )
    return dict(zip(("least", "expected", "most"), ahead[machine["StartAt"]], strict=True))


def _writes(plan: Plan, calls: int) -> int:
    """Write units of a run: two for each node that touches the world or waits, and a pack of pure nodes a call."""
    units = _RUN_WRITES
    for node in plan.nodes.values():
        if not node.pure and node.kind != "trigger":
            units += 2 * int(ASSUMED["items_per_loop"]) ** _depth(plan, node.scope)
    return units + 2 * calls  # the run's record is begun again by every call


def _depth(plan: Plan, scope: str) -> int:
    depth = 0
    while scope:
        depth, scope = depth + 1, plan.nodes[scope].scope
    return depth


def _cost(plan: Plan, entered: Mapping[str, int], segments: int, questions: int) -> dict[str, float]:
    """Dollars for 1,000 runs."""
    seconds = segments * ASSUMED["seconds_per_segment"] * RUNNER_MB / 1024
    seconds += questions * ASSUMED["seconds_per_question"] * TASKS_MB / 1024
    calls = segments + questions
    parts = {
        "step_functions": entered["expected"] * PRICES["step_functions_per_1000_transitions"],
        "lambda": calls * PRICES["lambda_per_million_requests"] / 1e3
        + seconds * PRICES["lambda_arm64_per_gb_second"] * 1e3,
        "dynamodb": _writes(plan, calls) * PRICES["dynamodb_per_million_write_units"] / 1e3
        + calls * _READS_PER_CALL * PRICES["dynamodb_per_million_read_units"] / 1e3,
    }
    return {name: round(value, 6) for name, value in {**parts, "total": sum(parts.values())}.items()}
