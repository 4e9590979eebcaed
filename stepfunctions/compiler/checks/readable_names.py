"""Every expression parses and names only what is in its scope."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.expressions.references import analyse
from shared.expressions.template import TemplateError, expressions
from shared.nodes.base import Container, Effect
from stepfunctions.compiler.checks.ports import output_ports
from stepfunctions.compiler.diagnostics import Diagnostic, node_error
from stepfunctions.compiler.graph import Graph, Path

CALLING = frozenset({"external", "tools", "mcp", "database"})
EXECUTION_NAMES = frozenset({"id", "workflow_id", "started_at"})


def readable_names(graph: Graph) -> Iterator[Diagnostic]:
    """Expressions that do not parse, and names that mean nothing where they stand."""
    for node in graph.nodes.values():
        for path, text in _broken(node.inputs, "inputs"):
            yield node_error("bad_template", node.id, text, path)
        for path, text in _broken(node.config, "config") if node.id in graph.types else ():
            if _templated(graph, node.id, path):
                yield node_error("bad_template", node.id, text, path)
        for path, expression in graph.expressions[node.id]:
            analysis = analyse(expression)
            for problem in analysis.problems:
                yield node_error("bad_expression", node.id, f"{path}: {problem}", path)
            for name in sorted(analysis.names):
                wrong = _wrong(graph, node.id, path, name)
                if wrong:
                    yield node_error("unknown_name", node.id, f"{path}: {wrong}", path)


def _broken(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _broken(each, f"{path}.{name}")
    elif isinstance(value, (list, tuple)):
        for i, each in enumerate(value):
            yield from _broken(each, f"{path}.{i}")
    else:
        try:
            list(expressions(value))
        except TemplateError as error:
            yield path, str(error)


def _templated(graph: Graph, node_id: str, path: str) -> bool:
    """Whether the config field at `path` takes templates; in any other field `{{` is just text."""
    schema: Any = graph.types[node_id].schema_for(graph.nodes[node_id].config)
    for part in path.split(".")[1:]:
        if not isinstance(schema, Mapping) or schema.get("x-template"):
            break
        below = schema.get("properties", {}).get(part)
        schema = below if below is not None else schema.get("items", schema.get("additionalProperties", {}))
    return isinstance(schema, Mapping) and bool(schema.get("x-template"))


def _wrong(graph: Graph, node_id: str, path: str, name: Path) -> str | None:
    """Why `name` cannot be read at this place, or None."""
    root, rest = name[0], name[1:]
    node_type = graph.types.get(node_id)
    match root:
        case "trigger":
            return None
        case "variables":
            if rest and rest[0] not in graph.document.variables:
                return f"there is no variable {rest[0]!r}"
            return None
        case "execution":
            return None if not rest or rest[0] in EXECUTION_NAMES else f"execution has no {rest[0]!r}"
        case "inputs":
            if not path.startswith("config."):
                return "inputs can only be read in config, not by inputs themselves"
            if rest and node_type is not None and rest[0] not in node_type.inputs:
                return f"there is no input port {rest[0]!r}"
            return None
        case "secrets":
            return _wrong_secret(graph, node_id, path)
        case "nodes":
            return _wrong_node(graph, node_id, path, rest)
    if root in _local_names(graph, node_id, path):
        return None
    return f"{root!r} is not a name here; there is trigger, nodes, variables, inputs, execution" + "".join(
        f", {n}" for n in sorted(_local_names(graph, node_id, path))
    )


def _wrong_secret(graph: Graph, node_id: str, path: str) -> str | None:
    """A secret goes to another system and nowhere else: what a node only computes or keeps is stored and shown."""
    node_type = graph.types.get(node_id)
    if not isinstance(node_type, Effect) or node_type.category not in CALLING or node_type.keeps:
        return "secrets can only be read by nodes that call another system: external, tools, mcp, database"
    if path.startswith("config.") and not _templated(graph, node_id, path):
        return "secrets can be read in templates, not in an expression that makes a result"
    return None


def _wrong_node(graph: Graph, node_id: str, path: str, rest: Path) -> str | None:
    read = rest[0]
    if read not in graph.nodes:
        return f"there is no node {read!r}"
    visible = set(graph.ancestors(node_id))
    if path == "config.result" and isinstance(graph.types.get(node_id), Container):
        visible.add(node_id)  # a container's result is read from within its body
    if graph.nodes[read].parent not in visible:
        return f"the node {read!r} is inside a container, and this is outside"
    if read in visible:
        return f"{read!r} is the container this is in; its result is not there yet"
    if len(rest) > 1 and read in graph.types and rest[1] not in output_ports(graph, read):
        return f"{read} has no output port {rest[1]!r}; it has {', '.join(output_ports(graph, read))}"
    return None


def _local_names(graph: Graph, node_id: str, path: str) -> frozenset[str]:
    """Names that containers and the type itself add: `item`, `index`, `state`, `iteration`."""
    found: set[str] = set()
    node_type = graph.types.get(node_id)
    if node_type is not None and path.startswith("config."):
        found |= node_type.scope_names()
    scopes = list(graph.ancestors(node_id))
    if path == "config.result":
        scopes.append(node_id)
    for scope in scopes:
        container = graph.types.get(scope) if scope is not None else None
        if isinstance(container, Container):
            found |= container.body_names
    return frozenset(found)
