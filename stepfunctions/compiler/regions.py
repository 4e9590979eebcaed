"""A partial order as nested series and parallel parts.

Source: the substitution (modular) decomposition of a partial order. An order is a parallel composition where its
comparability graph falls apart, and a series composition where its incomparability graph does (Valdes, Tarjan,
Lawler: "The recognition of series parallel digraphs", 1982). Where neither falls apart — the order contains an N —
no nesting is exact. Whatever is added keeps the comparability graph in one piece, so the outermost part must be a
series: the elements are cut in two, all of the first part before all of the second, and each part is decomposed in its
turn. Of many cuts the one with the shortest run is taken.

Elements are the numbers 0…n-1; sets of them are bit masks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

_SEARCHED: Final = 48  # where more elements hang together, what comes first of all is cut off, with no search
_CUTS: Final = 3_000  # judged for one order, at most a sixth of a second; after that, too, there is no search
_SAMPLES: Final = 8


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
_Lengths: TypeAlias = tuple[float, ...]  # of a run: with the given weights, and with each sample of others


def decompose(before: Sequence[int], weights: Sequence[float] | None = None) -> Region:
    """The region of an order of at least one element; `before[i]` are all elements before i (transitively closed).

    `weights[i]` is how long element i takes, in any unit; 1 each where nothing is known: then a run through the region
    is exactly as long as the order's longest path.
    """
    return _Order(before, weights or (1,) * len(before)).region((1 << len(before)) - 1)


class _Order:
    """An order, and what has been judged of it.

    Weights are guesses: a person answers in a minute or in a week. So a run's length is taken with the weights as they
    are, and then with each multiplied by a random number, a few times; the numbers are always the same.
    """

    def __init__(self, before: Sequence[int], weights: Sequence[float]) -> None:
        self._before = before
        # As a matrix of bits on its side, by way of text: bit by bit takes four times as long.
        columns = zip(*(f"{mask:0{len(before)}b}" for mask in reversed(before)), strict=True)
        self._after = [int("".join(column), 2) for column in columns][::-1]
        dice = random.Random(1)  # noqa: S311 - nothing secret
        samples = ([w * dice.random() for w in weights] for _ in range(_SAMPLES))
        self._alone: list[_Lengths] = list(zip(weights, *samples, strict=True))
        self._judged: dict[int, _Lengths] = {}
        self._cuts_left = _CUTS

    def region(self, within: int) -> Region:
        """The region of these elements."""
        parts: list[Region] = []
        while within:
            if _is_one(within):
                parts.append(Leaf(_lowest(within)))
                break
            side_by_side = self._side_by_side(within)
            if len(side_by_side) > 1:
                parts.append(Parallel(tuple(self.region(part) for part in side_by_side)))
                break
            for part in self._in_a_row(within) or (self._cut(within),):
                region = self.region(part)
                parts += region.parts if isinstance(region, Series) else [region]
                within &= ~part
        return parts[0] if len(parts) == 1 else Series(tuple(parts))

    def _side_by_side(self, within: int) -> list[int]:
        """The parts that nothing orders; one part if all hang together."""
        return _components(within, lambda i: self._before[i] | self._after[i])

    def _in_a_row(self, within: int) -> list[int]:
        """The parts of which every two are wholly ordered, in their order; none if that is all in one."""
        parts = _components(within, lambda i: ~(self._before[i] | self._after[i]))
        # Any element of a part tells how many come before it.
        parts.sort(key=lambda part: (self._before[_lowest(part)] & within & ~part).bit_count())
        return parts if len(parts) > 1 else []

    def _cut(self, within: int) -> int:
        """What is to come first, of elements that are neither side by side nor in a row."""
        if within.bit_count() > _SEARCHED or self._cuts_left < 0:
            return self._minimal(within)
        best = self._shortest(self._cuts(within), within)
        moved = (self._moved(best, i, within) for i in _bits(within))
        return self._shortest([best, *moved], within)

    def _shortest(self, cuts: Iterable[int], within: int) -> int:
        """The cut with the shortest run."""
        judged = []
        for first in cuts:
            if first and first != within:
                self._cuts_left -= 1
                lengths = _one_after_the_other(self._lengths(first), self._lengths(within & ~first))
                judged.append((round(lengths[0], 6), sum(lengths), first))
        return min(judged)[-1]

    def _cuts(self, within: int) -> Iterator[int]:
        """The waves from the start and from the end, and for each element what is before and what is not behind it."""
        left = within
        while left:
            left &= ~self._minimal(left)
            yield within & ~left
        left = within
        while left:
            left &= ~self._maximal(left)
            yield left
        for i in _bits(within):
            yield self._before[i] & within
            yield self._before[i] & within | 1 << i
            yield within & ~self._after[i]
            yield within & ~self._after[i] & ~(1 << i)

    def _moved(self, first: int, i: int, within: int) -> int:
        """A cut with element i on the other side, and what has to be there with it."""
        if first >> i & 1:
            return first & ~self._after[i] & ~(1 << i)
        return (first | self._before[i] | 1 << i) & within

    def _lengths(self, within: int) -> _Lengths:
        """Of a run through these elements, with the first wave cut off wherever there has to be a cut."""
        known = self._judged.get(within)
        if known is not None:
            return known
        if _is_one(within):
            found = self._alone[_lowest(within)]
        elif len(parts := self._side_by_side(within)) > 1:
            found = tuple(map(max, *map(self._lengths, parts)))
        else:
            first = self._minimal(within)
            parts = self._in_a_row(within) or [first, within & ~first]
            found = _one_after_the_other(*map(self._lengths, parts))
        self._judged[within] = found
        return found

    def _minimal(self, within: int) -> int:
        return sum(1 << i for i in _bits(within) if not self._before[i] & within)

    def _maximal(self, within: int) -> int:
        return sum(1 << i for i in _bits(within) if not self._after[i] & within)


def _one_after_the_other(*lengths: _Lengths) -> _Lengths:
    return tuple(map(sum, zip(*lengths, strict=True)))


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
            frontier = reached & left & ~component
            component |= frontier
        found.append(component)
        left &= ~component
    return found


def _is_one(mask: int) -> bool:
    return mask & (mask - 1) == 0


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
