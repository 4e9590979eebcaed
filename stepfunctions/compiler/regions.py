"""A partial order as nested series and parallel parts.

Source: the substitution (modular) decomposition of a partial order. An order is a parallel composition where its
comparability graph falls apart, and a series composition where its incomparability graph does (Valdes, Tarjan,
Lawler: "The recognition of series parallel digraphs", 1982). Where neither falls apart — the order contains an N —
no nesting is exact, and it is cut into waves: the minimal elements, then the rest.

Elements are the numbers 0…n-1; sets of them are bit masks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Leaf:
    """One element."""

    element: int


@dataclass(frozen=True, slots=True)
class Series:
    """Parts one after the other."""

    parts: tuple[Region, ...]


@dataclass(frozen=True, slots=True)
class Parallel:
    """Parts side by side."""

    parts: tuple[Region, ...]


Region: TypeAlias = Leaf | Series | Parallel


def decompose(before: Sequence[int]) -> Region:
    """The region of an order of at least one element; `before[i]` are all elements before i (transitively closed)."""
    after = [0] * len(before)
    for i, mask in enumerate(before):
        for j in _bits(mask):
            after[j] |= 1 << i
    return _decompose((1 << len(before)) - 1, before, after)


def _decompose(within: int, before: Sequence[int], after: Sequence[int]) -> Region:
    parts: list[Region] = []
    while True:
        if within & (within - 1) == 0:
            parts.append(Leaf(within.bit_length() - 1))
            break
        side_by_side = _components(within, lambda i: before[i] | after[i])
        if len(side_by_side) > 1:
            parts.append(Parallel(tuple(_decompose(part, before, after) for part in side_by_side)))
            break
        in_a_row = _components(within, lambda i: ~(before[i] | after[i]))
        if len(in_a_row) > 1:
            # Every two parts are wholly ordered, so any element of a part tells how many come before it.
            in_a_row.sort(key=lambda part: (before[_lowest(part)] & within & ~part).bit_count())
            for part in in_a_row:
                region = _decompose(part, before, after)
                parts += region.parts if isinstance(region, Series) else [region]
            break
        first = sum(1 << i for i in _bits(within) if not before[i] & within)
        parts.append(_decompose(first, before, after))
        within &= ~first
    return parts[0] if len(parts) == 1 else Series(tuple(parts))


def _components(within: int, neighbours: Callable[[int], int]) -> list[int]:
    """Connected components, by their lowest element."""
    found = []
    left = within
    while left:
        component = frontier = left & -left
        while frontier:
            reached = 0
            for i in _bits(frontier):
                reached |= neighbours(i)
            frontier = reached & within & ~component
            component |= frontier
        found.append(component)
        left &= ~component
    return found


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
