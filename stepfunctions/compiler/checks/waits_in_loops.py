"""A loop's body runs within one call, so nothing in it may wait outside of one."""

from __future__ import annotations

from collections.abc import Iterator

from shared.nodes.base import Question, Timer
from stepfunctions.compiler.bind import kind_of
from stepfunctions.compiler.diagnostics import Diagnostic, node_error
from stepfunctions.compiler.graph import Graph


def waits_in_loops(graph: Graph) -> Iterator[Diagnostic]:
    """Questions and timers of more than a second inside containers."""
    for node_id, node_type in graph.types.items():
        inside = isinstance(node_type, (Question, Timer)) and graph.nodes[node_id].parent is not None
        if inside and kind_of(graph, node_id) in ("question", "timer"):
            message = f"a {node_type.type} inside a loop is not supported yet; put it before or after the loop"
            yield node_error("wait_in_loop", node_id, message, "parent")
