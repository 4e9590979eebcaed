"""What a query found, in shapes that do not depend on the engine.

A node is `{id, labels, properties}`, an edge `{id, type, start, end, properties}`, a path `{nodes, edges}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

_NODE: Final = frozenset({"id", "labels", "properties"})
_EDGE: Final = frozenset({"id", "type", "startNode", "endNode", "properties"})
_PATH: Final = frozenset({"nodes", "rels"})


def of_engine(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """The rows of the embedded engine, which writes some parts of nodes and edges as texts of JSON."""
    return [_plain(row) for row in rows]


def found(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Any], list[Any]]:
    """All nodes and all edges in the rows, each once, in the order in which they come."""
    nodes: dict[Any, Any] = {}
    edges: dict[Any, Any] = {}
    todo: list[Any] = list(reversed(rows))
    while todo:
        value = todo.pop()
        if isinstance(value, Mapping):
            if value.keys() == _NODE:
                nodes.setdefault(value["id"], value)
            elif value.keys() == {"id", "type", "start", "end", "properties"}:
                edges.setdefault(value["id"], value)
            else:
                todo += reversed(list(value.values()))
        elif isinstance(value, list):
            todo += reversed(value)
    return list(nodes.values()), list(edges.values())


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == _NODE:
        return {"id": value["id"], "labels": _told(value["labels"]), "properties": _told(value["properties"])}
    if value.keys() == _EDGE:
        ends = {"start": value["startNode"], "end": value["endNode"]}
        return {"id": value["id"], "type": value["type"], **ends, "properties": _told(value["properties"])}
    if value.keys() == _PATH:
        return {"nodes": _plain(value["nodes"]), "edges": _plain(value["rels"])}
    return {k: _plain(v) for k, v in value.items()}


def _told(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
