"""The embedded back end: passages in segments in S3, searched exactly, in memory. Loads numpy.

A process keeps what it has loaded, and of a newer revision it loads the segments that it lacks. A write adds a segment
and merges the ones before it that are not much larger, so a collection has few of them, and a passage is rewritten few
times: about as often as its collection has doubled, and not any more once its segment is a large one. What loads and
writes copies one segment at a time.
"""

from __future__ import annotations

import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from shared.collections.filters import Condition
from shared.collections.model import MAX_BYTES, MAX_VECTORS, CollectionRecord, Match, Passage, Segment
from shared.collections.segments import Part, decoded, encoded, part_of
from shared.collections.store import CollectionStore
from shared.collections.view import INDEX, View
from shared.errors import NotFound, TooLarge, Unavailable
from shared.ids import ulid

_KEPT_BYTES: Final = 600_000_000  # of all collections in one process, with indexes, but always the one used last
_WRITE_SECONDS: Final = 60.0
_READS: Final = 5


class Loaded:
    """The collections in this process: the newest revision seen of each, the ones used last, up to so many bytes."""

    def __init__(self) -> None:
        self._views: OrderedDict[str, View] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()  # one at a time, or one index of words: each may take much memory

    def view(self, store: CollectionStore, record: CollectionRecord) -> View | None:
        """The collection as the record says; None if a segment is gone, so that the record is an old one."""
        held = self._held(record.id)
        if held is not None and held.revision == record.revision:
            return held
        with self._loading:
            held = self._held(record.id)
            if held is not None and held.revision == record.revision:
                return held  # another thread has loaded it meanwhile
            known = {part.id: part for part in held.parts} if held else {}
            if held is not None:
                held.drop_index()  # it says nothing of the newer revision
            self._make_room(record)
            for segment in record.segments:
                if segment.id not in known:
                    body = store.read_segment(record.id, segment.id)
                    if body is None:
                        return None
                    known[segment.id] = decoded(segment.id, body)
            view = View(record.revision, record.metric, [known[s.id] for s in record.segments])
            self.keep(record.id, view)
            return view

    def make_index(self, view: View) -> None:
        """Make a view's index of words, but not while another is made or loaded."""
        if not view.has_index:
            with self._loading:
                view.make_index()

    def keep(self, collection_id: str, view: View) -> None:
        """Keep a view unless there is a newer one."""
        with self._lock:
            held = self._views.get(collection_id)
            if held is None or held.revision < view.revision:
                self._views[collection_id] = view
            self._views.move_to_end(collection_id)
            total = sum(v.memory for v in self._views.values())
            while total > _KEPT_BYTES and len(self._views) > 1:
                total -= self._views.popitem(last=False)[1].memory

    def _make_room(self, record: CollectionRecord) -> None:
        """Before one is loaded, so that there are not both it and what it will displace."""
        with self._lock:
            others = [name for name in self._views if name != record.id]
            texts = max(0, record.size - 4 * record.count * record.dimension)
            total = record.size + INDEX * texts + sum(self._views[name].memory for name in others)
            for name in others:
                if total <= _KEPT_BYTES:
                    return
                total -= self._views.pop(name).memory

    def _held(self, collection_id: str) -> View | None:
        with self._lock:
            if collection_id in self._views:
                self._views.move_to_end(collection_id)
            return self._views.get(collection_id)


_loaded: Final = Loaded()


class Embedded:
    """What one embedded collection holds. Its calls block, and raise NotFound and Unavailable."""

    def __init__(self, store: CollectionStore, name: str, loaded: Loaded = _loaded) -> None:
        self._store = store
        self._name = name
        self._loaded = loaded

    def nearest(self, vector: Sequence[float], k: int, where: Condition | None) -> list[Match]:
        """The passages nearest to a vector, best first."""
        return self._current()[1].nearest(vector, k, where)

    def with_words(self, text: str, k: int, where: Condition | None) -> list[Match] | None:
        """The passages that have words of a text, best first by BM25."""
        view = self._current()[1]
        self._loaded.make_index(view)
        return view.with_words(text, k, where)

    def count(self, where: Condition | None) -> int:
        """How many passages there are for which the condition holds."""
        return sum(int(rows.sum()) for rows in self._current()[1].holding(where))

    def upsert(self, passages: Sequence[Passage]) -> int:
        """Write passages, over those of the same ids; gives how many ids there were. Raises TooLarge."""
        latest = {p.id: p for p in passages}

        def change(view: View, record: CollectionRecord) -> Part:
            count = len(view.place.keys() | latest.keys())
            if count > MAX_VECTORS:
                message = f"an embedded collection has at most {MAX_VECTORS:,} passages; this would have {count:,}"
                raise TooLarge(message, code="too_many")
            return part_of(ulid(), list(latest.values()), frozenset(), record.dimension)

        return len(self._write(change).ids) if latest else 0

    def delete(self, ids: Sequence[str], where: Condition | None, within: Condition | None = None) -> int:
        """Remove passages by id, and all for which `where` holds, of both those `within`; gives how many there were."""

        def change(view: View, record: CollectionRecord) -> Part:
            gone = {i for i in ids if i in view.place}
            if where is not None:
                gone |= view.fitting(where)
            if within is not None:
                gone &= view.fitting(within)
            return part_of(ulid(), [], frozenset(gone), record.dimension)

        return len(self._write(change).removed)

    def _write(self, change: Callable[[View, CollectionRecord], Part]) -> Part:
        """Make a change, again where somebody else was faster; gives what was changed."""
        until, attempt = time.monotonic() + _WRITE_SECONDS, 0
        while True:
            record, view = self._current()
            part = change(view, record)
            if (not part.ids and not part.removed) or self._committed(record, view, part):
                return part
            if time.monotonic() > until:
                raise Unavailable("too many write to this collection at once; try again")
            attempt += 1
            time.sleep(random.uniform(0, min(1.0, 0.01 * 2**attempt)))  # noqa: S311 - spreads the writers

    def _committed(self, record: CollectionRecord, view: View, part: Part) -> bool:
        after, written = view.with_part(part)
        if part.ids and after.weight > MAX_BYTES:
            raise TooLarge(
                f"an embedded collection has at most {MAX_BYTES:,} bytes of vectors and, counted four times, of texts "
                f"and metadata; this would have {after.weight:,}"
            )
        known = {s.id: s for s in record.segments}
        for new in written:
            body = encoded(new)
            known[new.id] = Segment(new.id, len(new.ids), len(body))
            self._store.write_segment(record.id, new.id, body)
            del body
        segments = tuple(known[p.id] for p in after.parts)
        try:
            committed = self._store.commit(
                record, replace(record, segments=segments, count=len(after.place), size=after.size)
            )
        except NotFound:
            self._forget(record.id, {s.id for s in segments})
            raise
        if committed is None:
            self._forget(record.id, {new.id for new in written})
            return False
        self._loaded.keep(record.id, after)
        self._forget(record.id, known.keys() - {s.id for s in segments})
        return True

    def _forget(self, collection_id: str, segments: set[str]) -> None:
        for segment_id in segments:
            with suppress(Unavailable):  # what is left is removed with the collection
                self._store.delete_segment(collection_id, segment_id)

    def _current(self) -> tuple[CollectionRecord, View]:
        for _ in range(_READS):
            record = self._store.get(self._name)
            view = self._loaded.view(self._store, record)
            if view is not None:
                return record, view
        raise Unavailable("the collection changes too fast to be read; try again")
