"""Binding: each node with its type's declaration and its defaults, in an order in which they can run."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from shared.expressions.template import is_template
from shared.nodes.base import Effect, NodeType, Pure, Timer, Trigger, Wait
from stepfunctions.compiler.graph import Graph
from stepfunctions.plan import BoundNode, Kind

SHORT_TIMER_MS = 1_000  # a timer this short is waited for in the call: a Wait state costs a transition


def bind(graph: Graph) -> dict[str, BoundNode]:
    """Every node, bound. The graph has passed all checks."""
    pure, opened, heavy = _pure(graph), _opened(graph), _heavy(graph)
    return {n: _bind(graph, n, pure=n in pure, opened=n in opened, heavy=n in heavy) for n in graph.order}


def kind_of(graph: Graph, node_id: str) -> Kind:
    """How a node runs. A disabled node of any kind only passes a value on; a short timer is slept through."""
    node, node_type = graph.nodes[node_id], graph.types[node_id]
    if isinstance(node_type, Trigger):
        return "trigger"
    if node.disabled or isinstance(node_type, Pure):
        return "pure"
    if isinstance(node_type, Effect) or _is_short(node_type, node.config):
        return "effect"
    if isinstance(node_type, Timer):
        return "timer"
    return "question" if isinstance(node_type, Wait) else "container"


def _is_short(node_type: NodeType, config: Mapping[str, Any]) -> bool:
    ms = config.get("ms")
    return isinstance(node_type, Timer) and isinstance(ms, (int, float)) and ms <= SHORT_TIMER_MS


def _pure(graph: Graph) -> frozenset[str]:
    """Nodes that may be computed again at any time: they touch nothing, and come to the same again."""
    impure = {n for n in graph.nodes if kind_of(graph, n) not in ("trigger", "pure", "container")}
    impure |= graph.unrepeatable.keys()
    for node_id in list(impure):
        for container in graph.ancestors(node_id):
            if container is None or graph.nodes[container].disabled:  # whose body is not run
                break
            impure.add(container)
    return frozenset(graph.nodes) - impure


def _opened(graph: Graph) -> frozenset[str]:
    """Containers whose passes the state machine runs: something in them rests, or they are to be run apart."""
    resting = {n for n in graph.nodes if kind_of(graph, n) in ("timer", "question")}
    resting |= {n for n, node in graph.nodes.items() if node.config.get("mode") == "distributed"}
    found = {n for n in resting if kind_of(graph, n) == "container"}
    for node_id in resting:
        for container in graph.ancestors(node_id):
            if container is None or graph.nodes[container].disabled:
                break
            found.add(container)
    return frozenset(found)


def _heavy(graph: Graph) -> frozenset[str]:
    """Nodes whose libraries only the larger runner has, and the containers that have such a node in their body."""
    found = {n for n, t in graph.types.items() if isinstance(t, Effect) and t.runner == "documents"}
    found = {n for n in found if not graph.nodes[n].disabled}
    return frozenset(found | {c for n in found for c in graph.ancestors(n) if c is not None})


def _bind(graph: Graph, node_id: str, *, pure: bool, opened: bool, heavy: bool) -> BoundNode:
    node, node_type = graph.nodes[node_id], graph.types[node_id]
    config = _defaults(node_type.config_schema, node.config)
    branches = graph.has_error_port(node_id)
    return BoundNode(
        id=node_id,
        type=node.type,
        kind=kind_of(graph, node_id),
        pure=pure and not opened,
        opened=opened,
        scope=node.parent or "",
        config=config,
        inputs=dict(node.inputs),
        templates=tuple(sorted(_templated(config, node_type.schema_for(config)))),
        outputs=tuple(node_type.output_ports(config)),
        required=tuple(name for name, port in node_type.inputs.items() if port.required),
        multiple=tuple(name for name, port in node_type.inputs.items() if port.multiple),
        names=tuple(sorted(graph.names[node_id])),
        waits_for=tuple(sorted(graph.dependencies[node_id], key=graph.rank.__getitem__)),
        retry=node.retry.model_dump() if node.retry and node.retry.max_attempts else None,
        timeout_seconds=node.timeout_seconds or node_type.timeout_seconds,
        on_error="branch" if branches else node.on_error or "fail",
        idempotent=node.idempotent,
        disabled=node.disabled,
        runner="documents" if heavy else "runner",
    )


def _defaults(schema: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with the defaults of its schema, those of objects within objects included."""
    filled = dict(config)
    for name, below in schema.get("properties", {}).items():
        if name not in filled and "default" in below:
            filled[name] = copy.deepcopy(below["default"])
        elif isinstance(filled.get(name), dict) and "properties" in below:
            filled[name] = _defaults(below, filled[name])
    return filled


def _templated(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Top-level config fields that hold a template somewhere in a place marked for it."""
    return [name for name, below in schema.get("properties", {}).items() if _holds(config.get(name), below)]


def _holds(value: Any, schema: Any) -> bool:
    if not isinstance(schema, Mapping) or schema.get("x-expression"):
        return False
    if schema.get("x-template"):
        return _any_template(value)
    if isinstance(value, Mapping):
        extra = schema.get("additionalProperties")
        return any(_holds(v, schema.get("properties", {}).get(k, extra)) for k, v in value.items())
    return isinstance(value, list) and any(_holds(v, schema.get("items")) for v in value)


def _any_template(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_any_template(v) for v in value.values())
    if isinstance(value, list):
        return any(_any_template(v) for v in value)
    return is_template(value)
