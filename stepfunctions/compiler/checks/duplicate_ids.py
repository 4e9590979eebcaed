"""Every id stands once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from stepfunctions.compiler.diagnostics import Diagnostic, node_error
from stepfunctions.compiler.graph import Graph


def duplicate_ids(graph: Graph) -> Iterator[Diagnostic]:
    """Node ids and connection ids that occur more than once."""
    for node_id, count in Counter(n.id for n in graph.document.nodes).items():
        if count > 1:
            yield node_error("duplicate_id", node_id, f"{count} nodes have the id {node_id}")
    for connection_id, count in Counter(c.id for c in graph.document.connections).items():
        if count > 1:
            message = f"{count} connections have the id {connection_id}"
            yield Diagnostic("duplicate_id", message, path=f"connections.{connection_id}")
