"""Publishing brings every trigger in line, within one request."""

from __future__ import annotations

from collections.abc import Iterator

from shared.nodes.base import Trigger
from shared.workflows.model import MAX_TRIGGERS
from stepfunctions.compiler.diagnostics import Diagnostic
from stepfunctions.compiler.graph import Graph


def too_many_triggers(graph: Graph) -> Iterator[Diagnostic]:
    """More triggers than one workflow may have."""
    found = sum(isinstance(node_type, Trigger) for node_type in graph.types.values())
    if found > MAX_TRIGGERS:
        message = f"the workflow has {found} triggers, the limit is {MAX_TRIGGERS}; split the workflow"
        yield Diagnostic("too_many_triggers", message)
