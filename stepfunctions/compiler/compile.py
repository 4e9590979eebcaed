"""The compiler, in its order. Read this first.

    document ──graph──▶ Graph ──checks──▶ diagnostics
                          │ (no errors)
                        expand: composites get their bodies
                          ▼
                        bind ──▶ bound nodes ──segments──▶ blocks ──layout (regions)──▶ steps
                                                                                         │
                                                   plan ◀──verify── skeleton ◀──emit──optimise

Pure: no I/O, and the same document gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from shared.usage.model import in_nano
from shared.workflows.model import Document
from stepfunctions.compiler.bind import bind
from stepfunctions.compiler.checks import CHECKS
from stepfunctions.compiler.diagnostics import Diagnostic
from stepfunctions.compiler.emit import Emitted, emit
from stepfunctions.compiler.expand import expand
from stepfunctions.compiler.graph import Graph
from stepfunctions.compiler.layout import layout
from stepfunctions.compiler.optimise import PASSES, optimise
from stepfunctions.compiler.segments import segments
from stepfunctions.compiler.verify import verify
from stepfunctions.plan import Asking, BoundNode, Edge, Plan


@dataclass(frozen=True, slots=True)
class Compiled:
    """What came of a document: all diagnostics, and the plan if none of them is an error."""

    diagnostics: tuple[Diagnostic, ...]
    plan: Plan | None

    @property
    def ok(self) -> bool:
        """Whether there is a plan."""
        return self.plan is not None


def check(document: Document) -> tuple[Diagnostic, ...]:
    """Every problem of a document, in the order of the checks."""
    return _check(Graph(document))


def _check(graph: Graph) -> tuple[Diagnostic, ...]:
    return tuple(d for rule in CHECKS for d in rule(graph))


def compile_document(document: Document, *, version: int = 0, without: Collection[str] = ()) -> Compiled:
    """Compile a document; `without` leaves out passes of `optimise`. Never raises for what a document holds."""
    graph = Graph(document)
    found = _check(graph)
    if any(d.severity == "error" for d in found):
        return Compiled(found, None)
    graph = expand(graph)
    nodes = bind(graph)
    settings = document.settings
    emitted = skeleton_of(nodes, settings.granularity, settings.timeout_seconds, without)
    problems = tuple(verify(emitted.skeleton))
    if problems:
        return Compiled((*found, *problems), None)
    plan = Plan(
        workflow_id=document.id or "",
        version=version,
        name=document.name,
        nodes=nodes,
        edges=tuple(
            Edge(c.source_node, c.source_port, c.target_node, c.target_port) for c in graph.document.connections
        ),
        variables=document.variables,
        segments=emitted.segments,
        questions=tuple(
            Asking(q.breaker, q.nodes, int(nodes[q.breaker].config["timeout_seconds"])) for q in emitted.questions
        ),
        turns=emitted.turns,
        timeout_seconds=settings.timeout_seconds,
        granularity=settings.granularity,
        skeleton=emitted.skeleton,
        budget=None if settings.budget is None else in_nano(settings.budget.tokens, settings.budget.money_usd) or None,
        max_concurrency=settings.max_concurrency,
    )
    return Compiled(found, plan)


def skeleton_of(
    nodes: Mapping[str, BoundNode],
    granularity: Literal["segment", "node"],
    timeout_seconds: int,
    without: Collection[str] = (),
) -> Emitted:
    """The states of bound nodes. With granularity `node` nothing is put together, so that each keeps its own name."""
    scopes = ["", *(n.id for n in nodes.values() if n.opened)]
    blocks = {scope: segments(nodes, scope=scope, granularity=granularity) for scope in scopes}
    by_node = granularity == "node"
    steps = optimise(layout(blocks, nodes), without=PASSES if by_node else without)
    return emit(steps, timeout_seconds=timeout_seconds, readable=by_node)
