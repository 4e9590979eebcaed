from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepfunctions.compiler.regions import Leaf, Parallel, Region, Series, decompose


def closed(n: int, edges: set[tuple[int, int]]) -> list[int]:
    before = [0] * n
    for j in range(n):  # edges lead from smaller to larger numbers
        for i in range(j):
            if (i, j) in edges:
                before[j] |= 1 << i | before[i]
    return before


def elements(region: Region) -> list[int]:
    return [region.element] if isinstance(region, Leaf) else [e for p in region.parts for e in elements(p)]


def order(region: Region) -> set[tuple[int, int]]:
    """Which element is over before which starts."""
    if isinstance(region, Leaf):
        return set()
    found = {pair for p in region.parts for pair in order(p)}
    if isinstance(region, Series):
        parts = [elements(p) for p in region.parts]
        found |= {(a, b) for i, p in enumerate(parts) for q in parts[i + 1 :] for a in p for b in q}
    return found


@st.composite
def orders(draw: st.DrawFn) -> list[int]:
    n = draw(st.integers(1, 9))
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    return closed(n, set(draw(st.lists(st.sampled_from(pairs))) if pairs else []))


@given(orders())
def test_every_element_once_and_no_order_lost(before: list[int]):
    region = decompose(before)
    assert sorted(elements(region)) == list(range(len(before)))
    assert {(i, j) for j, mask in enumerate(before) for i in range(len(before)) if mask >> i & 1} <= order(region)


@st.composite
def series_parallel(draw: st.DrawFn) -> list[int]:
    """An order built of series and parallel parts, its elements renumbered."""
    seed = draw(st.integers(0, 10**6))
    rng = random.Random(seed)

    def build(size: int) -> tuple[int, set[tuple[int, int]]]:
        if size == 1:
            return 1, set()
        left = rng.randrange(1, size)
        n, edges = build(left)
        m, more = build(size - left)
        edges = edges | {(a + n, b + n) for a, b in more}
        if rng.random() < 0.5:
            edges |= {(a, b + n) for a in range(n) for b in range(m)}
        return n + m, edges

    n, edges = build(draw(st.integers(1, 12)))
    return closed(n, edges)


@given(series_parallel())
def test_series_parallel_orders_are_exact(before: list[int]):
    exact = {(i, j) for j, mask in enumerate(before) for i in range(len(before)) if mask >> i & 1}
    assert order(decompose(before)) == exact


@pytest.mark.parametrize("n", [1, 1000])
def test_long_chains(n: int):
    before = [(1 << i) - 1 for i in range(n)]
    region = decompose(before)
    assert elements(region) == list(range(n))


def length(region: Region, weights: Sequence[float]) -> float:
    """How long a run is."""
    if isinstance(region, Leaf):
        return weights[region.element]
    parts = [length(p, weights) for p in region.parts]
    return sum(parts) if isinstance(region, Series) else max(parts)


def longest(before: list[int], weights: Sequence[float]) -> float:
    """The longest path; elements are numbered in an order in which they can run."""
    ends: list[float] = []
    for i, mask in enumerate(before):
        ends.append(weights[i] + max((ends[j] for j in range(i) if mask >> j & 1), default=0))
    return max(ends)


@given(orders())
def test_a_run_is_as_long_as_the_longest_path(before: list[int]):
    ones = [1] * len(before)
    assert length(decompose(before), ones) == longest(before, ones)


@given(orders(), st.data())
def test_weights_lose_no_order(before: list[int], data: st.DataObject):
    weights = data.draw(st.lists(st.floats(0, 1e6), min_size=len(before), max_size=len(before)))
    region = decompose(before, weights)
    assert sorted(elements(region)) == list(range(len(before)))
    assert {(i, j) for j, mask in enumerate(before) for i in range(len(before)) if mask >> i & 1} <= order(region)
    assert longest(before, weights) <= length(region, weights) + 1e-6


N = closed(4, {(0, 2), (0, 3), (1, 3)})


def test_an_n_is_cut_into_waves():
    assert decompose(N) == Series((Parallel((Leaf(0), Leaf(1))), Parallel((Leaf(2), Leaf(3)))))


def test_an_n_is_cut_where_its_run_is_short():
    # In waves it would take 20, its longest path is 11.
    region = decompose(N, [1, 10, 10, 1])
    assert region == Series((Leaf(0), Parallel((Series((Leaf(1), Leaf(3))), Leaf(2)))))


def test_waits_of_unknown_length_cost_little():
    rng = random.Random(5)
    ratios = []
    for _ in range(100):
        n = rng.randint(5, 40)
        likely = rng.choice([1, 2, 4, 8]) / n
        before = closed(n, {(i, j) for i in range(n) for j in range(i + 1, n) if rng.random() < likely})
        taken = [rng.random() for _ in range(n)]
        ratios.append(length(decompose(before), taken) / longest(before, taken))
    assert mean(ratios) <= 1.1


def test_many_elements_that_hang_together():
    rng = random.Random(6)
    before = closed(300, {(i, j) for i in range(300) for j in range(i + 1, 300) if rng.random() < 0.01})
    region = decompose(before)
    assert sorted(elements(region)) == list(range(300))
    assert length(region, [1] * 300) == longest(before, [1] * 300)
