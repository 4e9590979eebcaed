from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.workflows.model import Document
from stepfunctions.compiler.graph import Graph
from tests.stepfunctions.compiler.documents import document, node

NODES = [f"n{i}" for i in range(7)]
wires = st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)), max_size=14)


def graph(pairs: list[tuple[str, str]]) -> Graph:
    made: Document = document(
        [node(n, "merge") for n in NODES], ";".join(f"{a}.output -> {b}.inputs" for a, b in pairs)
    )
    return Graph(made)


def reached(start: str, pairs: list[tuple[str, str]]) -> set[str]:
    found: set[str] = set()
    stack: list[Any] = [start]
    while stack:
        at = stack.pop()
        for a, b in pairs:
            if a == at and b not in found:
                found.add(b)
                stack.append(b)
    return found


@given(wires)
def test_order(pairs: list[tuple[str, str]]):
    found = graph(pairs)
    assert sorted(found.order) == NODES
    assert [found.order[found.rank[n]] for n in NODES] == NODES
    on_cycles = {n for n in NODES if n in reached(n, pairs)}
    behind_cycles = {n for c in on_cycles for n in reached(c, pairs)}
    for a, b in pairs:
        assert b in behind_cycles or found.rank[a] < found.rank[b]


@given(wires)
def test_cyclic(pairs: list[tuple[str, str]]):
    """Nodes on cycles, and those on a way from one cycle to another."""
    on_cycles = {n for n in NODES if n in reached(n, pairs)}
    expected = {
        n
        for n in NODES
        if n in on_cycles or (any(n in reached(c, pairs) for c in on_cycles) and reached(n, pairs) & on_cycles)
    }
    assert list(graph(pairs).cyclic) == sorted(expected)
