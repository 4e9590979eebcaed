"""Containers: a parent is a container, nesting is bounded, and no connection crosses a container's wall."""

from __future__ import annotations

from collections.abc import Iterator

from shared.nodes.base import Composite, Container, Trigger
from shared.workflows.model import MAX_DEPTH
from stepfunctions.compiler.diagnostics import Diagnostic, node_error
from stepfunctions.compiler.graph import Graph


def walls(graph: Graph) -> Iterator[Diagnostic]:
    """Bad parents, and connections from inside to outside or the other way."""
    yield from _parents(graph)
    for c in graph.document.connections:
        source, target = graph.nodes.get(c.source_node), graph.nodes.get(c.target_node)
        if source is None or target is None or source.parent == target.parent or target.parent == source.id:
            continue
        message = f"{c.source_node} → {c.target_node} crosses the wall of a container; read the value in an expression"
        yield Diagnostic("crosses_wall", message, c.target_node, f"connections.{c.id}")


def _parents(graph: Graph) -> Iterator[Diagnostic]:
    for node in graph.nodes.values():
        if node.parent is None:
            continue
        if node.parent not in graph.nodes:
            yield node_error("unknown_parent", node.id, f"there is no node {node.parent}", "parent")
        elif (kind := graph.types.get(node.parent)) is not None and (
            not isinstance(kind, Container) or isinstance(kind, Composite)
        ):
            yield node_error("not_a_container", node.id, f"{node.parent} is a {kind.type}, not a container", "parent")
        if isinstance(graph.types.get(node.id), Trigger):
            yield node_error("trigger_inside", node.id, "a trigger cannot be inside a container", "parent")
        scopes = [a for a in graph.ancestors(node.id) if a is not None]
        if node.id in scopes:
            yield node_error("parent_cycle", node.id, "a node cannot be inside itself", "parent")
        elif len(scopes) > MAX_DEPTH:
            yield node_error("too_deep", node.id, f"containers nest at most {MAX_DEPTH} levels", "parent")
