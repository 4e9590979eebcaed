"""State transitions of a run, by the compiler's own count: segments against one state for each node."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import geometric_mean
from typing import Final

from infrastructure.bench.figures import Figure
from infrastructure.demo import __file__ as demo
from shared.workflows.model import Document
from stepfunctions.compiler.compile import compile_document
from stepfunctions.explain import ASSUMED, explain

DOCUMENTS: Final = (*sorted(Path(__file__).with_name("documents").glob("*.json")), Path(demo).with_name("refund.json"))


def measure() -> list[Figure]:
    """`transitions_per_run`. Nothing is run: it is what a run enters when all goes well."""
    counted = {file.stem: _count(Document.model_validate_json(file.read_text())) for file in DOCUMENTS}
    detail = {
        "against": "granularity `node`: a state for each node that touches the world or waits, none for pure nodes",
        "documents": len(counted),
        "against_a_state_for_every_node": round(geometric_mean(ours / naive for ours, _, naive in counted.values()), 2),
        **{name: f"{ours}/{node}/{naive}" for name, (ours, node, naive) in counted.items()},
    }
    return [
        Figure(
            "transitions_per_run",
            round(geometric_mean(ours / node for ours, node, _ in counted.values()), 2),
            None,
            detail,
        )
    ]


def _count(document: Document) -> tuple[int, int, int]:
    """Transitions of one run: ours, with granularity `node`, and if every node were a state."""
    compiled = compile_document(document)
    if compiled.plan is None:
        raise ValueError(json.dumps([d.message for d in compiled.diagnostics]))
    explained = explain(compiled.plan)
    items = int(ASSUMED["items_per_loop"])
    # One trigger starts a run; a body's states are entered once an item. Of branches, the longer is not looked for:
    # every node counts once.
    nodes = [n for n in compiled.plan.nodes.values() if n.kind != "trigger"]
    every = 1 + sum(items if node.scope else 1 for node in nodes)
    return explained["transitions"]["expected"], explained["one_state_per_node"]["transitions"]["expected"], every
