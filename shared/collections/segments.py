"""A segment as bytes and in memory: some passages, and the ids of earlier ones that are gone. Loads numpy."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.collections.model import Metric, Passage

Floats: TypeAlias = NDArray[np.float32]
_MAGIC: Final = b"SWV1"
_ROWS: Final = 1_000  # whose differences are held at a time
_OBJECTS: Final = 600  # bytes of Python's objects for a row
_HEAD: Final = struct.Struct("<4sII")  # the mark, the dimension, the bytes of the rows


@dataclass(frozen=True, slots=True)
class Part:
    """A segment in memory. `vectors` has a row for each id, as it was given, and `lengths` that row's length; `sizes`
    are the bytes of each that count for the collection's quota.
    """

    id: str
    ids: list[str]
    texts: list[str]
    metadata: list[Mapping[str, Any]]
    vectors: Floats
    lengths: Floats
    sizes: NDArray[np.int64]
    removed: frozenset[str]

    @property
    def memory(self) -> int:
        """Roughly the bytes it takes in memory."""
        return int(self.sizes.sum()) + _OBJECTS * len(self.ids)


def part_of(segment_id: str, passages: Sequence[Passage], removed: frozenset[str], dimension: int) -> Part:
    """A segment of these passages, whose ids differ."""
    vectors = np.array([p.vector for p in passages], dtype=np.float32).reshape(len(passages), dimension)
    texts, metadata = [p.text for p in passages], [dict(p.metadata) for p in passages]
    return _part(segment_id, [p.id for p in passages], texts, metadata, vectors, removed)


def _part(
    segment_id: str,
    ids: list[str],
    texts: list[str],
    metadata: Sequence[Mapping[str, Any]],
    vectors: Floats,
    removed: frozenset[str],
) -> Part:
    known = (len(t.encode(errors="replace")) + len(json.dumps(m)) for t, m in zip(texts, metadata, strict=True))
    sizes = np.fromiter(known, dtype=np.int64, count=len(ids)) + 4 * vectors.shape[1]
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))  # `norm` makes two copies of all
    return Part(segment_id, ids, texts, list(metadata), vectors, lengths, sizes, removed)


def joined(segment_id: str, parts: Sequence[tuple[Part, NDArray[np.bool_]]], removed: frozenset[str]) -> Part:
    """One segment with the rows of several that are marked; of one that keeps all, nothing is copied."""
    [(first, whole), *more] = parts
    if not more and whole.all():
        return replace(first, id=segment_id, removed=removed)
    rows = [(part, np.flatnonzero(alive)) for part, alive in parts]
    vectors = np.empty((sum(len(kept) for _, kept in rows), first.vectors.shape[1]), dtype=np.float32)
    end = 0
    for part, kept in rows:
        begin, end = end, end + len(kept)
        np.take(part.vectors, kept, axis=0, out=vectors[begin:end], mode="clip")  # other modes copy once more
    return Part(
        segment_id,
        [part.ids[i] for part, kept in rows for i in kept],
        [part.texts[i] for part, kept in rows for i in kept],
        [part.metadata[i] for part, kept in rows for i in kept],
        vectors,
        np.concatenate([part.lengths[kept] for part, kept in rows]),
        np.concatenate([part.sizes[kept] for part, kept in rows]),
        removed,
    )


def encoded(part: Part) -> bytes:
    """The bytes of a segment."""
    rows = {"ids": part.ids, "texts": part.texts, "metadata": part.metadata, "removed": sorted(part.removed)}
    text = json.dumps(rows, separators=(",", ":"))  # ASCII: half a surrogate pair survives
    body = zlib.compress(text.encode(), 1)
    vectors = np.ascontiguousarray(part.vectors, dtype="<f4")
    return b"".join((_HEAD.pack(_MAGIC, vectors.shape[1], len(body)), body, vectors.data))


def decoded(segment_id: str, body: bytes) -> Part:
    """The segment that `encoded` has made bytes of."""
    magic, dimension, length = _HEAD.unpack_from(body)
    if magic != _MAGIC:
        raise ValueError(f"the segment {segment_id} is of no kind that is known here")
    rows = json.loads(zlib.decompress(body[_HEAD.size : _HEAD.size + length]))
    vectors = np.frombuffer(body, dtype="<f4", offset=_HEAD.size + length).reshape(-1, dimension)
    removed = frozenset(rows["removed"])
    return _part(segment_id, rows["ids"], rows["texts"], rows["metadata"], vectors.astype(np.float32), removed)


def scores(vectors: Floats, lengths: Floats, query: Floats, metric: Metric) -> Floats:
    """How near each row is to the query; `lengths` are those of the rows. Higher is nearer."""
    if metric == "euclidean":
        return _nearness(vectors, query)
    products: Floats = vectors @ query
    if metric == "dot":
        return products
    both = lengths * np.float32(np.linalg.norm(query))
    cosines: Floats = np.divide(products, both, out=np.zeros_like(products), where=both > 0)
    return cosines


def _nearness(vectors: Floats, query: Floats) -> Floats:
    # Of the differences themselves: |a|² + |b|² - 2ab loses what is small beside the lengths.
    near = np.empty(len(vectors), dtype=np.float32)
    for begin in range(0, len(vectors), _ROWS):
        apart = vectors[begin : begin + _ROWS] - query
        near[begin : begin + _ROWS] = 1 / (1 + np.sqrt(np.einsum("ij,ij->i", apart, apart)))
    return near
