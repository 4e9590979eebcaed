"""Warnings: nodes that nothing leads to, and workflows without a result."""

from __future__ import annotations

from collections.abc import Iterator

from shared.nodes.base import Trigger
from stepfunctions.compiler.diagnostics import Diagnostic
from stepfunctions.compiler.graph import Graph


def reachability(graph: Graph) -> Iterator[Diagnostic]:
    """Nodes that no trigger leads to, and a workflow without an `output` node."""
    triggers = [n for n in graph.children[None] if isinstance(graph.types.get(n), Trigger)]
    if triggers:
        readers = [n for n, names in graph.names.items() if any(name[0] == "trigger" for name in names)]
        reached = _reached(graph, [*triggers, *readers])
        for node_id in graph.nodes:
            if node_id not in reached:
                message = "no trigger leads to this node, and it does not read one: it runs at the start of every run"
                yield Diagnostic("unreachable", message, node_id, f"nodes.{node_id}", "warning")
    if graph.nodes and not any(n.type == "output" and not n.disabled for n in graph.nodes.values()):
        message = "there is no output node, so the run's final output is null"
        yield Diagnostic("no_output", message, severity="warning")


def _reached(graph: Graph, start: list[str]) -> set[str]:
    dependents: dict[str, list[str]] = {}
    for node_id, before in graph.dependencies.items():
        for each in before:
            dependents.setdefault(each, []).append(node_id)
    reached: set[str] = set()
    stack = list(start)
    while stack:
        node_id = stack.pop()
        if node_id not in reached:
            reached.add(node_id)
            stack += dependents.get(node_id, [])
            stack += graph.children.get(node_id, ())  # a container that is reached runs its body
    return reached
