"""Nothing waits for itself: loops are containers."""

from __future__ import annotations

from collections.abc import Iterator

from stepfunctions.compiler.diagnostics import Diagnostic
from stepfunctions.compiler.graph import Graph


def cycles(graph: Graph) -> Iterator[Diagnostic]:
    """One error per cycle, at its first node, naming the way round."""
    left = set(graph.cyclic)
    for node_id in graph.cyclic:
        if node_id in left:
            way = _way(graph, node_id, left)
            if way:
                left -= set(way)
                # The way was found against the arrows; people read it along them.
                shown = " → ".join(reversed([*way, way[0]]))
                message = f"{shown} is a cycle; to repeat steps, put them into a loop"
                yield Diagnostic("cycle", message, node_id, f"nodes.{node_id}")


def _way(graph: Graph, start: str, within: set[str]) -> list[str]:
    """A shortest way from `start` over dependencies back to it, or nothing when it only lies between cycles."""
    came_from: dict[str, str] = {}
    layer = [start]
    while layer:
        following = []
        for node_id in layer:
            for before in sorted(graph.dependencies[node_id] & within):
                if before == start:
                    way = [node_id]
                    while way[-1] != start:
                        way.append(came_from[way[-1]])
                    return way[::-1]
                if before not in came_from:
                    came_from[before] = node_id
                    following.append(before)
        layer = following
    return []
