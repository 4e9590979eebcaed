"""What a container's passes come from is evaluated again by every call that takes it up, and has to be the same."""

from __future__ import annotations

from collections.abc import Iterator

from shared.nodes.base import Composite, Container
from stepfunctions.compiler.diagnostics import Diagnostic, node_error
from stepfunctions.compiler.graph import Graph


def repeatable(graph: Graph) -> Iterator[Diagnostic]:
    """Containers whose own expressions give something else each time."""
    for node_id, functions in graph.unrepeatable.items():
        node_type = graph.types.get(node_id)
        if isinstance(node_type, Container) and not isinstance(node_type, Composite):
            named = ", ".join(f"${name}" for name in sorted(functions))
            message = f"each call that takes a {node_type.type} up evaluates it, and {named} would give another value"
            yield node_error("unrepeatable", node_id, f"{message}; call it in a node of its own")
