"""The compiler, in its order. Read this first.

    document ──graph──▶ Graph ──checks──▶ diagnostics
                          │ (no errors)
                          ▼
                        bind ──▶ bound nodes ──segments──▶ blocks ──regions, emit──▶ skeleton ──verify──▶ plan

Pure: no I/O, and the same document gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.workflows.model import Document
from stepfunctions.compiler.bind import bind
from stepfunctions.compiler.checks import CHECKS
from stepfunctions.compiler.diagnostics import Diagnostic
from stepfunctions.compiler.emit import emit
from stepfunctions.compiler.graph import Graph
from stepfunctions.compiler.segments import segments
from stepfunctions.compiler.verify import verify
from stepfunctions.plan import Asking, Edge, Plan


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
    graph = Graph(document)
    return tuple(d for rule in CHECKS for d in rule(graph))


def compile_document(document: Document, *, version: int = 0) -> Compiled:
    """Compile a document. Never raises for what a document holds."""
    found = check(document)
    if any(d.severity == "error" for d in found):
        return Compiled(found, None)
    graph = Graph(document)
    nodes = bind(graph)
    settings = document.settings
    blocks = segments(nodes, scope="", granularity=settings.granularity)
    emitted = emit(blocks, timeout_seconds=settings.timeout_seconds, readable=settings.granularity == "node")
    problems = tuple(verify(emitted.skeleton))
    if problems:
        return Compiled((*found, *problems), None)
    plan = Plan(
        workflow_id=document.id or "",
        version=version,
        name=document.name,
        nodes=nodes,
        edges=tuple(Edge(c.source_node, c.source_port, c.target_node, c.target_port) for c in document.connections),
        variables=document.variables,
        segments=emitted.segments,
        questions=tuple(
            Asking(q.breaker, q.nodes, int(nodes[q.breaker].config["timeout_seconds"])) for q in emitted.questions
        ),
        timeout_seconds=settings.timeout_seconds,
        granularity=settings.granularity,
        skeleton=emitted.skeleton,
    )
    return Compiled(found, plan)
