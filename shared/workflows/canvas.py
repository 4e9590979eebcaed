"""A workflow as a canvas draws it: nodes and edges as React Flow wants them.

Positions are the document's; inside a container they are relative to it. Nodes without one are laid out in layers, from
left to right: a node stands right of all that lead to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from shared.nodes.registry import find
from shared.workflows.model import Node

Json = dict[str, Any]
_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _PADDING = 220, 90, 80, 40, 60
_DEFAULTS: Final = Node(id="x", type="x").model_dump(mode="json")  # of what an older draft has no field for
_DATA: Final = tuple(n for n in Node.model_fields if n not in ("id", "type", "position", "parent"))


def canvas_of(document: Mapping[str, Any]) -> Json:
    """The nodes, each after the container that it is in, and the edges of a document."""
    places = _layout(document)
    nodes = [
        {
            "id": node["id"],
            "type": node["type"],
            "position": node["position"] or places[node["id"]],
            "parentId": node["parent"],
            "data": {"label": _label(node), **{name: node.get(name, _DEFAULTS[name]) for name in _DATA}},
        }
        for node in _parents_first(document["nodes"])
    ]
    edges = [
        {
            "id": c["id"],
            "source": c["source_node"],
            "sourceHandle": c["source_port"],
            "target": c["target_node"],
            "targetHandle": c["target_port"],
        }
        for c in document["connections"]
    ]
    return {"nodes": nodes, "edges": edges}


def drawn(document: Mapping[str, Any], nodes: Iterable[Mapping[str, Any]], edges: Iterable[Mapping[str, Any]]) -> Json:
    """The document with what is on a canvas as its nodes and connections; nodes keep the place in it that they had."""
    order = {n["id"]: place for place, n in enumerate(document["nodes"])}
    made = [
        {
            **{name: value for name, value in n["data"].items() if name in _DATA},
            "id": n["id"],
            "type": n["type"],
            "position": n["position"],
            "parent": n.get("parentId"),
        }
        for n in nodes
    ]
    made.sort(key=lambda n: order.get(n["id"], len(order)))
    connections = [
        {
            "id": e["id"],
            "source_node": e["source"],
            "source_port": e["sourceHandle"],
            "target_node": e["target"],
            "target_port": e["targetHandle"],
        }
        for e in edges
    ]
    return {**document, "nodes": made, "connections": connections}


def _label(node: Mapping[str, Any]) -> str:
    node_type = find(node["type"])
    return str(node["name"] or (node_type.display_name if node_type else node["type"]))


def _parents_first(nodes: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Containers before what is in them, else as they come; those whose containers go round come last."""
    left = list(nodes)
    known = {n["id"] for n in left}
    done: list[Mapping[str, Any]] = []
    placed: set[str] = set()
    while left:
        ready = [n for n in left if n["parent"] not in known or n["parent"] in placed]
        if not ready:
            return [*done, *left]
        done += ready
        placed |= {n["id"] for n in ready}
        left = [n for n in left if n["id"] not in placed]
    return done


def _layout(document: Mapping[str, Any]) -> dict[str, Json]:
    """A place for every node, in its container."""
    children: dict[str | None, list[str]] = {}
    for node in document["nodes"]:
        children.setdefault(node["parent"], []).append(node["id"])
    parents = {n["id"]: n["parent"] for n in document["nodes"]}
    before: dict[str, set[str]] = {n: set() for n in parents}
    for c in document["connections"]:
        source, target = c["source_node"], c["target_node"]
        if source in parents and target in parents and parents[source] == parents[target]:
            before[target].add(source)
    places: dict[str, Json] = {}
    sizes: dict[str, tuple[float, float]] = {}
    for scope in [*(n["id"] for n in reversed(_parents_first(document["nodes"])) if n["id"] in children), None]:
        size = _place(children.get(scope, []), before, sizes, places, 0 if scope is None else _PADDING)
        if scope is not None:
            sizes[scope] = size
    for ids in children.values():  # of containers that are not there
        _place([n for n in ids if n not in places], before, sizes, places, 0)
    return places


def _place(
    ids: list[str],
    before: Mapping[str, set[str]],
    sizes: Mapping[str, tuple[float, float]],
    places: dict[str, Json],
    padding: float,
) -> tuple[float, float]:
    """Put the nodes of one scope into columns; gives the size of what is around them."""
    columns: list[list[str]] = []
    left, placed = list(ids), set[str]()
    own = set(ids)
    while left:
        ready = [n for n in left if before[n] & own <= placed] or left  # what goes round stands in one column
        columns.append(ready)
        placed |= set(ready)
        left = [n for n in left if n not in placed]
    x, lowest = padding, padding
    for column in columns:
        y, widest = padding, float(_WIDTH)
        for node_id in column:
            width, height = sizes.get(node_id, (_WIDTH, _HEIGHT))
            places[node_id] = {"x": float(x), "y": float(y)}
            y += height + _GAP_Y
            widest = max(widest, width)
        lowest = max(lowest, y)
        x += widest + _GAP_X
    return max(x, float(_WIDTH)), max(lowest, float(_HEIGHT))
