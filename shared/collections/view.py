"""An embedded collection in memory as of one revision, and how it is searched. Loads numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.collections.filters import Condition, predicate
from shared.collections.keywords import Keywords
from shared.collections.model import Match, Metric
from shared.collections.segments import Part, joined, scores
from shared.ids import ulid

_SMALL: Final = 128  # rows: segments up to twice this are merged whatever comes
_MERGED: Final = 64_000_000  # bytes in memory: no larger one is made of several, so that a merge needs little beside
INDEX: Final = 5  # bytes that the index of words takes for one of texts and metadata, as measured
Rows: TypeAlias = NDArray[np.bool_]


@dataclass
class View:
    """A collection as of one revision. Not changed once it is made, so threads share it."""

    revision: int
    metric: Metric
    parts: list[Part]
    alive: list[Rows] = field(init=False)  # of each part, the rows that no later part replaces or removes
    place: dict[str, tuple[int, int]] = field(init=False)  # id → part, row

    def __post_init__(self) -> None:
        self.place = {}
        for number, part in enumerate(self.parts):
            for gone in part.removed:
                self.place.pop(gone, None)
            self.place.update((id_, (number, row)) for row, id_ in enumerate(part.ids))
        self.alive = [np.zeros(len(part.ids), dtype=np.bool_) for part in self.parts]
        for number, row in self.place.values():
            self.alive[number][row] = True

    @property
    def size(self) -> int:
        """The bytes of its passages: vectors, texts and metadata."""
        return sum(int(part.sizes[alive].sum()) for part, alive in self._rows)

    @property
    def weight(self) -> int:
        """The same with those of texts and metadata counted four times: what `MAX_BYTES` bounds."""
        vectors = sum(int(alive.sum() * part.vectors.shape[1] * 4) for part, alive in self._rows)
        return 4 * self.size - 3 * vectors

    @property
    def memory(self) -> int:
        """Roughly the bytes it takes with the index of its words, whether that is made yet or not."""
        written = sum(int(part.sizes.sum()) - part.vectors.nbytes for part in self.parts)
        return sum(part.memory for part in self.parts) + INDEX * written

    @property
    def has_index(self) -> bool:
        """Whether the index of words is made."""
        return "_keywords" in vars(self)

    def make_index(self) -> None:
        """Make the index of words, unless it is there."""
        _ = self._keywords

    def drop_index(self) -> None:
        """Let the index of words go; it is made again by whoever asks for it."""
        vars(self).pop("_keywords", None)

    @property
    def _rows(self) -> list[tuple[Part, Rows]]:
        return list(zip(self.parts, self.alive, strict=True))

    @cached_property
    def _keywords(self) -> Keywords:
        return Keywords([part.texts[row] for part, alive in self._rows for row in np.flatnonzero(alive)])

    def holding(self, where: Condition | None) -> list[Rows]:
        """Of each part, the rows that are alive and for which the condition holds."""
        if where is None:
            return self.alive
        holds = predicate(where)
        return [
            alive & np.fromiter((holds(m) for m in part.metadata), dtype=np.bool_, count=len(part.ids))
            for part, alive in self._rows
        ]

    def fitting(self, where: Condition) -> set[str]:
        """The ids of the passages for which the condition holds."""
        kept = zip(self.parts, self.holding(where), strict=True)
        return {part.ids[row] for part, rows in kept for row in np.flatnonzero(rows)}

    def nearest(self, vector: Sequence[float], k: int, where: Condition | None = None) -> list[Match]:
        """The `k` passages nearest to a vector. Exact: every passage is compared."""
        query = np.asarray(vector, dtype=np.float32)
        near = [scores(part.vectors, part.lengths, query, self.metric) for part in self.parts]
        return self._best(near, k, self.holding(where))

    def with_words(self, text: str, k: int, where: Condition | None = None) -> list[Match]:
        """The `k` best passages by BM25 among those that have a word of the text."""
        found = [np.zeros(len(alive), dtype=np.float32) for alive in self.alive]
        points = np.split(self._keywords.scores(text), np.cumsum([int(alive.sum()) for alive in self.alive]))
        for values, alive, scored in zip(found, self.alive, points, strict=False):  # the last split holds nothing
            values[alive] = scored
        kept = [rows & (values > 0) for rows, values in zip(self.holding(where), found, strict=True)]
        return self._best(found, k, kept)

    def _best(self, points: Sequence[NDArray[np.float32]], k: int, kept: Sequence[Rows]) -> list[Match]:
        found: list[tuple[float, str, int, int]] = []
        for number, (part, values, rows) in enumerate(zip(self.parts, points, kept, strict=True)):
            at = np.arange(len(rows)) if rows.all() else np.flatnonzero(rows)
            chosen = values if len(at) == len(rows) else values[at]
            if len(at) > k:
                # All that are as good as the last one that is wanted, so that of equals the same are found each time.
                best = np.flatnonzero(chosen >= np.partition(chosen, len(at) - k)[len(at) - k])
                at, chosen = at[best], chosen[best]
            found += [(-score, part.ids[i], number, i) for i, score in zip(at.tolist(), chosen.tolist(), strict=True)]
        return [self._match(-worst, number, row) for worst, _, number, row in sorted(found)[:k]]

    def _match(self, score: float, number: int, row: int) -> Match:
        part = self.parts[number]
        return Match(part.ids[row], part.texts[row], part.metadata[row], score)

    def with_part(self, part: Part) -> tuple[View, list[Part]]:
        """The next revision, with one more segment, which takes in the ones before it that are not much larger.

        Gives also the segments that are to be written: that one, if there is anything in it, and in the place of each
        of which a third of the rows was replaced or removed by now, one with the others.
        """
        both = View(self.revision + 1, self.metric, [*self.parts, part])
        start, rows, memory = len(self.parts), len(part.ids), part.memory
        while start and len(self.parts[start - 1].ids) <= 2 * max(rows, _SMALL):
            memory += self.parts[start - 1].memory
            if memory > _MERGED:
                break
            start -= 1
            rows += len(self.parts[start].ids)
        kept: list[Part] = []
        written: list[Part] = []
        for group in (*([each] for each in both._rows[:start]), both._rows[start:]):
            [(one, alive), *more] = group
            if one is not part and not more and 3 * int(alive.sum()) >= 2 * len(one.ids):
                kept.append(one)
                continue
            removed = frozenset().union(*(p.removed for p, _ in group))
            if removed:
                removed &= {id_ for p in kept for id_ in p.ids}
            merged = joined(ulid(), group, removed)
            if merged.ids or merged.removed:
                kept.append(merged)
                written.append(merged)
        return View(both.revision, self.metric, kept), written
