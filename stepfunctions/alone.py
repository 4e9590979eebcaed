"""One node of a workflow by itself: a small document that holds it, with stand-ins for what it is given.

The node keeps its id, config and retry policy, and the inputs typed into it that are not given; a container comes
with its body. It lies in no container, and a failure fails the run, whatever its `on_error` says. Each given input
comes from a stand-in connected to its port; each node that its expressions read is a stand-in under its own id.
Stand-ins are never run: their outputs are pinned. So no value is in the document, or in the plan that is made of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import Invalid, NotFound, Problem
from shared.nodes.base import Port
from shared.nodes.registry import find
from shared.tenancy import Tenant
from shared.workflows.model import ID_PATTERN, Connection, Document, Node
from stepfunctions.compiler.compile import compile_document
from stepfunctions.compiler.graph import Graph
from stepfunctions.prefill import Outputs
from stepfunctions.publish import publish
from stepfunctions.published import Published

_MAX_VALUES: Final = 100  # for one port that takes several
_ALWAYS: Final = ("default", "error")  # ports that every switch has


@dataclass(frozen=True, slots=True)
class Alone:
    """`document` runs the node `node_id`; `outputs` are those of its stand-ins."""

    node_id: str
    document: Document
    outputs: Outputs

    def publish(self, tenant: Tenant, version: int) -> Published:
        """Make it runnable. Raises Invalid: the node has problems, or waits for a person, a moment or another run."""
        plan = compile_document(self.document, version=version).plan
        waits = [n for n in plan.nodes.values() if n.kind in ("timer", "question")] if plan else []
        if waits:
            message = f"{waits[0].id} waits, and so is not run alone: run the workflow, with what leads to it pinned"
            raise Invalid(
                message, code="node_waits", errors=[Problem("node_waits", message, None, n.id) for n in waits]
            )
        return publish(tenant, self.document, version)


def alone(document: Document, node_id: str, inputs: Mapping[str, Any], outputs_of: Outputs) -> Alone:
    """The document for a node. `inputs` are values by port (of a port that takes several, an array of them);
    `outputs_of` what other nodes deliver where expressions read them; a port that is not given is undefined.

    Raises NotFound; Invalid for ports and nodes that are not there, at `inputs.<port>` and `outputs_of.<node>.<port>`.
    """
    graph = Graph(document)
    node = graph.nodes.get(node_id)
    if node is None:
        raise NotFound(f"workflow {document.id} has no node {node_id}")
    body = _body(graph, node_id)
    problems = [*_wrong_inputs(node, inputs), *_wrong_outputs(graph, {node_id, *body}, outputs_of)]
    if problems:
        raise Invalid("; ".join(p.message for p in problems[:3]), errors=problems)
    typed_in = {port: value for port, value in node.inputs.items() if port not in inputs}
    lone = node.model_copy(update={"parent": None, "on_error": "fail", "inputs": typed_in})
    nodes = [lone, *(graph.nodes[n] for n in body)]
    read = _read(graph, {node_id, *body}, outputs_of)
    outputs: dict[str, Mapping[str, Any]] = {n: outputs_of.get(n, {}) for n in read}
    nodes += [_stand_in(n, ports) for n, ports in read.items()]
    connections = [c for c in document.connections if c.target_node in body and c.source_node in (node_id, *body)]
    for port, value in _each(node, inputs):
        name = _free(f"input_{port}", nodes)
        nodes.append(Node(id=name, type="transform", config={"expression": "null"}))
        outputs[name] = {"output": value}
        connections.append(
            Connection(id=name, source_node=name, source_port="output", target_node=node_id, target_port=port)
        )
    if node.type != "output":
        nodes.append(Node(id=_free("result", nodes), type="output", inputs={"value": f"{{{{ nodes.`{node_id}` }}}}"}))
    settings = document.settings.model_copy(update={"granularity": "segment"})
    made = {"nodes": tuple(nodes), "connections": tuple(connections), "settings": settings}
    return Alone(node_id, document.model_copy(update=made), outputs)


def _body(graph: Graph, node_id: str) -> tuple[str, ...]:
    """Everything inside the node, in document order."""
    return tuple(n for n in graph.nodes if node_id in graph.ancestors(n))


def _input_ports(node: Node) -> Mapping[str, Port]:
    """The node's input ports; of an unknown type none."""
    node_type = find(node.type)
    return {} if node_type is None else node_type.inputs


def _wrong_inputs(node: Node, inputs: Mapping[str, Any]) -> Iterator[Problem]:
    ports = _input_ports(node)
    for port, value in inputs.items():
        path = f"inputs.{port}"[:200]
        if port not in ports:
            listed = ", ".join(ports) or "none"
            yield Problem("unknown_port", f"{node.id} has no input port {port[:100]!r}; it has {listed}", path, node.id)
        elif ports[port].multiple and (not isinstance(value, list) or len(value) > _MAX_VALUES):
            message = f"the port {port} takes several values: give an array of at most {_MAX_VALUES}"
            yield Problem("bad_value", message, path, node.id)


def _wrong_outputs(graph: Graph, running: set[str], outputs_of: Outputs) -> Iterator[Problem]:
    for node_id, ports in outputs_of.items():
        path = f"outputs_of.{node_id}"[:200]
        if node_id not in graph.nodes:
            yield Problem("unknown_node", f"there is no node {node_id[:100]}", path)
        elif node_id in running:
            yield Problem("is_run", f"{node_id} is what is run here", path, node_id)
        elif node_id in graph.types:
            node = graph.nodes[node_id]
            known = (*graph.types[node_id].output_ports(node.config), "error")
            for port in ports:
                if port not in known:
                    message = f"{node_id} has no output port {port[:100]!r}; it has {', '.join(known)}"
                    yield Problem("unknown_port", message, f"{path}.{port}"[:200], node_id)


def _read(graph: Graph, running: set[str], outputs_of: Outputs) -> dict[str, list[str]]:
    """The nodes that the expressions of what is run read, with the ports that are read or given."""
    found: dict[str, list[str]] = {}
    for node_id in graph.nodes:
        for name in sorted(graph.names[node_id]) if node_id in running else ():
            if name[0] == "nodes" and len(name) > 1 and name[1] in graph.nodes and name[1] not in running:
                found.setdefault(name[1], list(outputs_of.get(name[1], ()))).extend(name[2:3])
    return found


def _stand_in(node_id: str, ports: list[str]) -> Node:
    """A node that is never run, with these output ports. Only a switch has ports that can be named at will."""
    cases = [p for p in ports if p not in _ALWAYS and re.fullmatch(ID_PATTERN, p)]
    config = {"cases": dict.fromkeys(cases or ["none"], "false")}
    return Node(id=node_id, type="switch", config=config, on_error="branch" if "error" in ports else None)


def _each(node: Node, inputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The given values with their ports, one by one."""
    ports = _input_ports(node)
    for port, value in inputs.items():
        if ports[port].multiple:
            yield from ((port, each) for each in value)
        else:
            yield port, value


def _free(wanted: str, nodes: list[Node]) -> str:
    """An id like the one that is wanted, that no node has."""
    taken, wanted = {n.id for n in nodes}, re.sub(r"[^A-Za-z0-9_-]", "_", wanted)[:90]
    return next(i for i in (wanted, *(f"{wanted}_{n}" for n in range(2, len(taken) + 3))) if i not in taken)
