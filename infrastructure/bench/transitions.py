"""State transitions of a run, by the compiler's own count: segments against one state for each node."""

from __future__ import annotations

import json
import random
from pathlib import Path
from statistics import geometric_mean, mean
from typing import Final

from infrastructure.bench.figures import Figure
from infrastructure.demo import __file__ as demo
from shared.workflows.model import Document
from stepfunctions.compiler.compile import compile_document
from stepfunctions.explain import explain
from stepfunctions.plan import BoundNode, Plan
from stepfunctions.transitions import ITEMS

DOCUMENTS: Final = (*sorted(Path(__file__).with_name("documents").glob("*.json")), Path(demo).with_name("refund.json"))
_TARGET: Final = 0.25
_DRAWS: Final = 200  # runs of a document, each with other arms of its conditions
_ONE_OF: Final = ("true", "false"), ("approved", "rejected")


def measure() -> list[Figure]:
    """`transitions_per_run`. Nothing is run: it is what a run enters when all goes well."""
    counted = {file.stem: _count(Document.model_validate_json(file.read_text())) for file in DOCUMENTS}
    rows = list(counted.values())
    detail = {
        "against": "one state for each node that runs, pure or not, in a loop one for each of ten items",
        "documents": len(counted),
        "against_loops_counted_once": round(geometric_mean(ours / once for ours, _, _, once in rows), 2),
        "against_granularity_node": round(geometric_mean(ours / node for ours, node, _, _ in rows), 2),
        **{name: f"{ours}/{node}/{every:.1f}" for name, (ours, node, every, _) in counted.items()},
    }
    value = round(geometric_mean(ours / every for ours, _, every, _ in rows), 2)
    return [Figure("transitions_per_run", value, _TARGET, detail)]


def _count(document: Document) -> tuple[int, int, float, float]:
    """States that a run enters: ours, with granularity `node`, one for each node, the same with bodies counted once."""
    compiled = compile_document(document)
    plan = compiled.plan
    if plan is None:
        raise ValueError(json.dumps([d.message for d in compiled.diagnostics]))
    explained = explain(plan)
    apart = explained["one_state_per_node"]["transitions"]["expected"]
    return explained["transitions"]["expected"], apart, one_by_one(plan, ITEMS), one_by_one(plan, 1)


def one_by_one(plan: Plan, items: int) -> float:
    """How many nodes run in a run without errors, triggers left out; the mean of runs that take other arms each time.

    With a state for each node these are the states that a run enters, those left out that begin and end branches.
    """
    dice = random.Random(1)  # noqa: S311 - nothing secret
    return mean(_nodes_run(plan, "", items, dice) for _ in range(_DRAWS))


def _nodes_run(plan: Plan, scope: str, items: int, dice: random.Random) -> int:
    delivered: dict[str, set[str]] = {}  # per node that runs, the ports it sets
    count = 0
    for node in (plan.nodes[n] for n in plan.members.get(scope, ())):
        leads_here = plan.incoming[node.id]
        alive = any(e.source == scope or e.source_port in delivered.get(e.source, ()) for e in leads_here)
        if alive or not leads_here:
            delivered[node.id] = _ports(node, dice)
            count += node.kind != "trigger"
            if node.kind == "container":
                passes = 1 if node.type == "retry" else items
                count += passes * _nodes_run(plan, node.id, items, dice)
    return count


def _ports(node: BoundNode, dice: random.Random) -> set[str]:
    """The output ports that a node sets when all goes well: of those that exclude each other, any one."""
    if node.type == "switch":
        return {dice.choice(node.outputs)}
    found = set(node.outputs) - {"timeout"}
    for either in _ONE_OF:
        if found.issuperset(either):
            found.remove(dice.choice(either))
    return found
