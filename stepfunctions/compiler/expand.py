"""Composites get their bodies: an `agent` becomes a loop around what it does.

After the checks, so that all they say is about the document; before everything else, so that nothing behind this knows
composites, and what holds for containers (records, crashes, pauses, questions, retries) holds for them. Parts are named
after their node: `clerk.model` is the part `model` of the node `clerk`. Ids in documents have no dot.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.nodes.base import Composite, Part
from shared.workflows.model import Connection, Node
from stepfunctions.compiler.graph import Graph


def expand(graph: Graph) -> Graph:
    """The graph with the bodies of its composites; the same one if it has none."""
    found = [(n, t) for i, t in graph.types.items() if isinstance(t, Composite) and not (n := graph.nodes[i]).disabled]
    if not found:
        return graph
    nodes, wires = list(graph.document.nodes), list(graph.document.connections)
    for node, composite in found:
        inside = composite.inside(node.config)
        nodes += [_node(node, part) for part in inside.parts]
        wires += _wires(node.id, inside.wires)
    return Graph(graph.document.model_copy(update={"nodes": tuple(nodes), "connections": tuple(wires)}))


def _node(node: Node, part: Part) -> Node:
    # Not validated: a part's id is one that a document cannot have.
    own: Any = {"retry": node.retry, "timeout_seconds": node.timeout_seconds, "idempotent": node.idempotent}
    return Node.model_construct(
        id=_id(node.id, part.name),
        type=part.type,
        config=dict(part.config),
        inputs=dict(part.inputs),
        parent=_id(node.id, part.within),
        **(own if part.tried else {}),
    )


def _wires(node_id: str, wires: tuple[str, ...]) -> Iterator[Connection]:
    for number, wire in enumerate(wires):
        ends = [end.strip().rpartition(".") for end in wire.split("->")]
        (source, _, source_port), (target, _, target_port) = ends
        yield Connection.model_construct(
            id=f"{node_id}.{number}",
            source_node=_id(node_id, source),
            source_port=source_port,
            target_node=_id(node_id, target),
            target_port=target_port,
        )


def _id(node_id: str, part: str) -> str:
    return f"{node_id}.{part}" if part else node_id
