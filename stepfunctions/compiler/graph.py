"""The document as a graph: who is in which container, who waits for whom.

A scope is the whole workflow (None) or the body of one container (its id). Within a scope, node B depends on node A
when a connection leads from A to B, or when an expression of B — or of something inside B — reads A.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from shared.expressions.references import analyse
from shared.expressions.template import TemplateError, expressions
from shared.nodes.base import NodeType
from shared.nodes.registry import find, get
from shared.workflows.model import Connection, Document, Node

Path = tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """A document with its nodes looked up. Made for any well-formed document, however wrong: checks run on it."""

    document: Document

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """Nodes by id, in document order; of two with one id, the first."""
        found: dict[str, Node] = {}
        for node in self.document.nodes:
            found.setdefault(node.id, node)
        return found

    @cached_property
    def types(self) -> dict[str, NodeType]:
        """The types of the nodes whose type is known. Parts of composites have types that documents cannot name."""
        found = {n.id: get(n.type) if is_part(n.id) else find(n.type) for n in self.nodes.values()}
        return {n: t for n, t in found.items() if t is not None}

    @cached_property
    def children(self) -> dict[str | None, tuple[str, ...]]:
        """The nodes of each scope, in document order."""
        scopes: dict[str | None, list[str]] = {None: []}
        for node in self.nodes.values():
            scopes.setdefault(node.parent, []).append(node.id)
        return {scope: tuple(ids) for scope, ids in scopes.items()}

    def ancestors(self, node_id: str) -> Iterator[str | None]:
        """The scopes a node is in, innermost first, ending with None. Stops where parents go round or lead nowhere."""
        seen = set()
        parent = self.nodes[node_id].parent
        while parent is not None and parent in self.nodes and parent not in seen:
            seen.add(parent)
            yield parent
            parent = self.nodes[parent].parent
        yield None

    @cached_property
    def incoming(self) -> dict[str, tuple[Connection, ...]]:
        """Connections by their target, in document order."""
        return self._by(lambda c: c.target_node)

    @cached_property
    def outgoing(self) -> dict[str, tuple[Connection, ...]]:
        """Connections by their source, in document order."""
        return self._by(lambda c: c.source_node)

    def _by(self, end: Any) -> dict[str, tuple[Connection, ...]]:
        found: dict[str, list[Connection]] = {n: [] for n in self.nodes}
        for c in self.document.connections:
            found.setdefault(end(c), []).append(c)
        return {n: tuple(cs) for n, cs in found.items()}

    def has_error_port(self, node_id: str) -> bool:
        """Whether the node's `error` port is connected, which makes `on_error` `branch`."""
        return any(c.source_port == "error" for c in self.outgoing[node_id])

    @cached_property
    def expressions(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """Per node, its expressions: (path within the node, text). Templates that do not parse are left out here."""
        return {n.id: tuple(_expressions(n, self.types.get(n.id))) for n in self.nodes.values()}

    @cached_property
    def names(self) -> dict[str, frozenset[Path]]:
        """Per node, the references of its expressions."""
        return {
            n: frozenset().union(*(analyse(text).names for _, text in found)) for n, found in self.expressions.items()
        }

    @cached_property
    def unrepeatable(self) -> dict[str, frozenset[str]]:
        """Per node that has expressions which give something else each time, the functions that make them so."""
        found = {
            n: frozenset().union(*(analyse(text).unrepeatable for _, text in texts))
            for n, texts in self.expressions.items()
        }
        return {n: functions for n, functions in found.items() if functions and not self.nodes[n].disabled}

    @cached_property
    def dependencies(self) -> dict[str, frozenset[str]]:
        """Per node, the nodes of its own scope that it waits for."""
        found: dict[str, set[str]] = {n: set() for n in self.nodes}
        for c in self.document.connections:
            source, target = self.nodes.get(c.source_node), self.nodes.get(c.target_node)
            if source and target and source.parent == target.parent:
                found[target.id].add(source.id)
        for reader, names in self.names.items():
            for path in names:
                if path[0] == "nodes" and path[1] in self.nodes:
                    waiter = self._sibling(reader, path[1])
                    if waiter is not None:
                        found[waiter].add(path[1])
        return {n: frozenset(waits) for n, waits in found.items()}

    def _sibling(self, reader: str, read: str) -> str | None:
        """Who waits, in the scope of `read`, when `reader` names it: the reader or the container it is in."""
        scope = self.nodes[read].parent
        at: str | None = reader
        for parent in self.ancestors(reader):
            if parent == scope:
                return at
            at = parent
        return None

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All nodes, each after those it depends on, stable by document order. Nodes on a cycle come last."""
        done = _in_turn(self.dependencies)
        return (*done, *(n for n in self.nodes if n not in done))

    @cached_property
    def rank(self) -> dict[str, int]:
        """Where each node stands in `order`."""
        return {n: i for i, n in enumerate(self.order)}

    @cached_property
    def cyclic(self) -> tuple[str, ...]:
        """Nodes that depend on themselves, through whatever others, in document order."""
        # Nodes with nothing before them are taken away, then nodes with nothing after them: cycles are left, and paths
        # between cycles.
        done = _in_turn(self.dependencies)
        behind: dict[str, set[str]] = {n: set() for n in self.nodes if n not in done}
        for n in behind:
            for before in self.dependencies[n] - done.keys():
                behind[before].add(n)
        harmless = _in_turn(behind)
        return tuple(n for n in behind if n not in harmless)


def is_part(node_id: str) -> bool:
    """Whether the compiler has put in this node: ids in documents have no dot."""
    return "." in node_id


def _in_turn(needs: Mapping[str, AbstractSet[str]]) -> dict[str, None]:
    """Nodes, each after those it needs, layer by layer as they come; without those on or behind a cycle."""
    done: dict[str, None] = {}
    waiting = {n: set(each) for n, each in needs.items()}
    needed_by: dict[str, list[str]] = {n: [] for n in needs}
    for n, before in needs.items():
        for each in before:
            needed_by[each].append(n)
    ready = [n for n in needs if not waiting[n]]
    while ready:
        following = []
        for n in ready:
            done[n] = None
            for m in needed_by[n]:
                waiting[m].discard(n)
                if not waiting[m]:
                    following.append(m)
        ready = following
    return done


def _expressions(node: Node, node_type: NodeType | None) -> Iterator[tuple[str, str]]:
    for port, value in node.inputs.items():
        yield from _templates(f"inputs.{port}", value)
    schema = node_type.schema_for(node.config) if node_type else {}
    properties: Mapping[str, Any] = schema.get("properties", {})
    for name, value in node.config.items():
        yield from _marked(f"config.{name}", value, properties.get(name, {}))


def _marked(path: str, value: Any, schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Expressions of a config value, by the marks in its schema."""
    if schema.get("x-expression"):
        if isinstance(value, str):
            yield path, value
    elif schema.get("x-template"):
        yield from _templates(path, value)
    elif isinstance(value, dict):
        extra = schema.get("additionalProperties")
        for name, each in value.items():
            below = schema.get("properties", {}).get(name, extra if isinstance(extra, dict) else {})
            yield from _marked(f"{path}.{name}", each, below)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for i, each in enumerate(value):
            yield from _marked(f"{path}.{i}", each, schema["items"])


def _templates(path: str, value: Any) -> Iterator[tuple[str, str]]:
    try:
        for text in expressions(value):
            yield path, text
    except TemplateError:
        return
