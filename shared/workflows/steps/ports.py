"""How steps are joined: which port of a node gives its output, and where what comes before it leads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.nodes.base import AFTER, Container, NodeType, Port, Trigger
from shared.nodes.registry import find

# Input ports that take what the step before gave, where nothing else is given to them.
_TAKING: Final = frozenset({"input", "inputs", "value", "items", "documents", "text", "initial"})
_FORKS: Final = frozenset({"condition", "switch"})  # each value leaves on one port of several
_UNKNOWN: Final = {"output": Port("any")}


def is_trigger(type_name: str) -> bool:
    """Whether nodes of the type start runs."""
    return isinstance(find(type_name), Trigger)


def inner_of(type_name: str) -> str | None:
    """The first port that a container's body sees; None for what is no container."""
    node_type = find(type_name)
    return next(iter(node_type.inner), None) if isinstance(node_type, Container) else None


def is_container(type_name: str) -> bool:
    """Whether nodes of the type have steps inside."""
    return isinstance(find(type_name), Container) and inner_of(type_name) is not None


def outputs_of(node: Mapping[str, Any]) -> Mapping[str, Port]:
    """A node's output ports, `error` apart."""
    node_type = find(node["type"])
    return _UNKNOWN if node_type is None else node_type.output_ports(node["config"])


def main_port(node: Mapping[str, Any]) -> str | None:
    """The port that `${steps.ID.output}` reads: the first, or the value where the answer of a model has a schema."""
    outputs = outputs_of(node)
    if node["type"] in _FORKS or not outputs:
        return None
    structured = node["config"].get("response_schema") is not None and "json" in outputs
    return "json" if structured else next(iter(outputs))


def leaving(node: Mapping[str, Any]) -> list[str]:
    """The ports on which the next step follows, where it is not said otherwise."""
    if node["type"] in _FORKS:
        return list(outputs_of(node))
    main = main_port(node)
    return [] if main is None else [main]


def arriving(source: Mapping[str, Any], port: str, target: Mapping[str, Any]) -> str:
    """The input port of `target` that a connection from a port of `source` leads to: one that takes its value, if

    that has no value of its own and the types fit, else `after`.
    """
    source_type, target_type = find(source["type"]), find(target["type"])
    inside = target.get("parent") == source["id"]
    given = _given(source_type, source, port, inside=inside)
    for name, taken in (target_type.inputs if target_type else {}).items():
        if name in _TAKING and name not in target["inputs"] and _fit(given.type, taken.type):
            return name
    return AFTER


def may_lead(source: Mapping[str, Any], port: str, target: Mapping[str, Any], target_port: str) -> bool:
    """Whether a value from that port may go to a named input port."""
    target_type = find(target["type"])
    taken = target_type.inputs.get(target_port) if target_type else None
    inside = target.get("parent") == source["id"]
    return taken is not None and _fit(_given(find(source["type"]), source, port, inside=inside).type, taken.type)


def _given(node_type: NodeType | None, node: Mapping[str, Any], port: str, *, inside: bool) -> Port:
    if port == "error":
        return Port("object")
    if inside and isinstance(node_type, Container):
        return node_type.inner.get(port, Port())
    return outputs_of(node).get(port, Port())


def _fit(source: str, target: str) -> bool:
    return source == target or "any" in (source, target)
