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
        """The bytes of its passages that count for the collection's quota."""
        return sum(int(part.sizes[alive].sum()) for part, alive in zip(self.parts, self.alive, strict=True))

    @property
    def memory(self) -> int:
        """Roughly the bytes it takes; the index of its words, once there is one, thrice as many as its texts."""
        words = 3 * sum(part.memory - part.vectors.nbytes for part in self.parts) if "_keywords" in vars(self) else 0
        return sum(part.memory for part in self.parts) + words

    @cached_property
    def _keywords(self) -> Keywords:
        return Keywords([text for part in self.parts for text in part.texts])

    def holding(self, where: Condition | None) -> list[Rows]:
        """Of each part, the rows that are alive and for which the condition holds."""
        if where is None:
            return self.alive
        holds = predicate(where)
        return [
            alive & np.fromiter((holds(m) for m in part.metadata), dtype=np.bool_, count=len(part.ids))
            for part, alive in zip(self.parts, self.alive, strict=True)
        ]

    def nearest(self, vector: Sequence[float], k: int, where: Condition | None = None) -> list[Match]:
        """The `k` passages nearest to a vector. Exact: every passage is compared."""
        query = np.asarray(vector, dtype=np.float32)
        near = [scores(part.vectors, part.lengths, query, self.metric) for part in self.parts]
        return self._best(near, k, self.holding(where))

    def with_words(self, text: str, k: int, where: Condition | None = None) -> list[Match]:
        """The `k` best passages by BM25 among those that have a word of the text."""
        points = self._keywords.scores(text)
        found = np.split(points, np.cumsum([len(part.ids) for part in self.parts])[:-1]) if self.parts else []
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

    def with_part(self, part: Part) -> tuple[View, Part | None]:
        """The next revision, with one more segment, which takes in the ones before it that are not much larger.

        Gives also the segment that is to be written, if there is anything in it. All become one where most rows of
        the collection are of passages that were replaced or removed.
        """
        both = View(self.revision + 1, self.metric, [*self.parts, part])
        start, rows = len(self.parts), len(part.ids)
        while start and len(self.parts[start - 1].ids) <= 2 * max(rows, _SMALL):
            start -= 1
            rows += len(self.parts[start].ids)
        if 2 * len(both.place) < sum(len(p.ids) for p in both.parts):
            start = 0
        before = {id_ for p in self.parts[:start] for id_ in p.ids}
        removed = frozenset().union(*(p.removed for p in both.parts[start:])) & before
        merged = joined(ulid(), list(zip(both.parts[start:], both.alive[start:], strict=True)), removed)
        if not merged.ids and not merged.removed:
            return View(both.revision, self.metric, self.parts[:start]), None
        return View(both.revision, self.metric, [*self.parts[:start], merged]), merged
