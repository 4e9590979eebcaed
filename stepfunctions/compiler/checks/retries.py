"""A retry policy is for what is tried: a container's body has the type `retry` for that, and a wait is not tried."""

from __future__ import annotations

from collections.abc import Iterator

from shared.nodes.base import Composite, Container, Wait
from stepfunctions.compiler.diagnostics import Diagnostic
from stepfunctions.compiler.graph import Graph


def retries(graph: Graph) -> Iterator[Diagnostic]:
    """Policies that have no effect."""
    for node_id, node_type in graph.types.items():
        if isinstance(node_type, Composite):  # its policy is that of its parts
            continue
        policy = graph.nodes[node_id].retry
        if policy is not None and policy.max_attempts and isinstance(node_type, (Container, Wait)):
            message = f"{node_type.type} nodes are not tried again; put what may fail into a retry container"
            yield Diagnostic("retry_without_effect", message, node_id, f"nodes.{node_id}.retry", "warning")
