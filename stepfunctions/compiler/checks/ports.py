"""Every connection leads from a port there is to a port there is, and their types fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shared.nodes.base import AFTER, Container, Port, Trigger
from stepfunctions.compiler.diagnostics import Diagnostic, node_error
from stepfunctions.compiler.graph import Graph

ERROR_PORT = Port("object", description="the error, when the node fails")
AFTER_PORT = Port("any", multiple=True, description="what comes before the node; its value is not looked at")


def ports(graph: Graph) -> Iterator[Diagnostic]:
    """Unknown nodes and ports, and types that do not fit."""
    for c in graph.document.connections:
        path = f"connections.{c.id}"
        missing = [n for n in (c.source_node, c.target_node) if n not in graph.nodes]
        for node_id in missing:
            yield Diagnostic("unknown_node", f"there is no node {node_id}", path=path)
        if missing or c.source_node not in graph.types or c.target_node not in graph.types:
            continue
        outputs = output_ports(graph, c.source_node, inside=graph.nodes[c.target_node].parent == c.source_node)
        inputs = input_ports(graph, c.target_node)
        if c.source_port not in outputs:
            message = f"{c.source_node} has no output port {c.source_port!r}; it has {_listed(outputs)}"
            yield Diagnostic("unknown_port", message, c.source_node, f"{path}.source_port")
        elif c.target_port not in inputs:
            own = _listed(graph.types[c.target_node].inputs)
            message = f"{c.target_node} has no input port {c.target_port!r}; it has {own}"
            yield Diagnostic("unknown_port", message, c.target_node, f"{path}.target_port")
        elif not _fits(outputs[c.source_port], inputs[c.target_port]):
            out, into = outputs[c.source_port].type, inputs[c.target_port].type
            message = f"{c.source_node}.{c.source_port} is {out}, but {c.target_node}.{c.target_port} takes {into}"
            yield Diagnostic("incompatible_ports", message, c.target_node, path)
    for node_id, node_type in graph.types.items():
        for port in graph.nodes[node_id].inputs:
            if port not in node_type.inputs:
                message = f"there is no input port {port!r}; there is {_listed(node_type.inputs)}"
                yield node_error("unknown_port", node_id, message, f"inputs.{port}")


def input_ports(graph: Graph, node_id: str) -> Mapping[str, Port]:
    """The input ports that a connection may lead to; nothing leads to a trigger."""
    node_type = graph.types[node_id]
    return node_type.inputs if isinstance(node_type, Trigger) else {**node_type.inputs, AFTER: AFTER_PORT}


def output_ports(graph: Graph, node_id: str, *, inside: bool = False) -> Mapping[str, Port]:
    """The output ports of a node of known type: as its neighbours see it or, for a container, as its body does."""
    node_type = graph.types[node_id]
    if inside and isinstance(node_type, Container):
        return node_type.inner
    return {**node_type.output_ports(graph.nodes[node_id].config), "error": ERROR_PORT}


def _fits(source: Port, target: Port) -> bool:
    return source.type == target.type or "any" in (source.type, target.type)


def _listed(ports_: Mapping[str, Port]) -> str:
    return ", ".join(ports_) or "none"
