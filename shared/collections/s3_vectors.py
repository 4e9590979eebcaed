"""The back end Amazon S3 Vectors: an index for each collection."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from shared.aws.vectors import IndexFull, IndexGone, Refused, VectorIndex
from shared.collections.filters import All, Condition, Exists, Is, Not, Some, Within, predicate
from shared.collections.model import CollectionRecord, Match, Passage, score_of
from shared.errors import Invalid, NotFound, TooLarge
from shared.settings import settings
from shared.tenancy import Tenant

# Fields of ours beside the passage's own, which begin with a letter; no filter may name them, so they may be long.
_TEXT: Final = "_text"
_OTHER: Final = "_other"  # as JSON: what the service does not take as metadata (null, objects, mixed and empty lists)
_WHAT: Final = "Amazon S3 Vectors"


class S3Vectors:
    """What one collection holds there. Its calls block, and raise Invalid, NotFound, TooLarge, Unavailable."""

    def __init__(self, tenant: Tenant, collection: CollectionRecord) -> None:
        self._metric = collection.metric
        self._index = VectorIndex(tenant, settings().vector_bucket, index_name(collection.id))

    def create(self, dimension: int) -> None:
        """Make the index."""
        with _reached():
            self._index.create(dimension, self._metric, [_TEXT, _OTHER])

    def drop(self) -> None:
        """Remove the index with all that is in it."""
        with _reached():
            self._index.drop()

    def upsert(self, passages: Sequence[Passage]) -> int:
        """Write passages, over those of the same ids; gives how many ids there were."""
        latest = {p.id: p for p in passages}
        with _reached():
            self._index.put([(p.id, p.vector, _sent(p)) for p in latest.values()])
        return len(latest)

    def nearest(self, vector: Sequence[float], k: int, where: Condition | None) -> list[Match]:
        """The passages nearest to a vector, best first; found by an approximate index."""
        condition = None if where is None else written(where)
        with _reached():
            found = self._index.nearest(vector, k, condition)
        return [
            Match(key, str(m.get(_TEXT, "")), _received(m), score_of(self._metric, distance))
            for key, distance, m in found
        ]

    def with_words(self, text: str, k: int, where: Condition | None) -> list[Match] | None:
        """None: there is no search for words."""
        del text, k, where
        return None

    def delete(self, ids: Sequence[str], where: Condition | None, within: Condition | None = None) -> int:
        """Remove passages by id, and all for which `where` holds, of both those `within`; gives how many there were."""
        with _reached():
            present = self._index.present(list(dict.fromkeys(ids)), metadata=within is not None)
            gone = set(_fitting(present, within or All(())))
            if where is not None:
                gone |= set(self._found(where if within is None else All((where, within))))
            self._index.delete(sorted(gone))
        return len(gone)

    def count(self, where: Condition | None) -> int:
        """How many passages there are for which the condition holds. The service does not count: this reads all."""
        with _reached():
            return sum(1 for _ in self._index.all(metadata=False)) if where is None else len(self._found(where))

    def _found(self, where: Condition) -> list[str]:
        return _fitting(self._index.all(metadata=True), where)


def _fitting(vectors: Iterable[tuple[str, Mapping[str, Any]]], where: Condition) -> list[str]:
    holds = predicate(where)
    return [key for key, metadata in vectors if holds(_received(metadata))]


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except Refused:
        raise Invalid(f"{_WHAT} does not take such a vector (all zeros?), metadata or filter") from None
    except IndexGone:
        raise NotFound("the collection is gone") from None
    except IndexFull:
        raise TooLarge(f"{_WHAT} holds as much as it may; ask the operator") from None


def index_name(collection_id: str) -> str:
    """The name of a collection's index: lower-case letters, digits and hyphens."""
    return collection_id.replace("_", "-").lower()


def _sent(passage: Passage) -> dict[str, Any]:
    plain = {k: v for k, v in passage.metadata.items() if _is_plain(v)}
    other = {k: v for k, v in passage.metadata.items() if k not in plain}
    return {**plain, _TEXT: passage.text, **({_OTHER: json.dumps(other)} if other else {})}


def _received(metadata: Mapping[str, Any]) -> dict[str, Any]:
    own = {k: v for k, v in metadata.items() if k not in (_TEXT, _OTHER)}
    return {**own, **json.loads(metadata.get(_OTHER, "{}"))}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        kinds = {float if type(v) is int else type(v) for v in value}
        return len(kinds) == 1 and kinds <= {str, float, bool}
    return isinstance(value, str | int | float | bool)


def written(condition: Condition, holds: bool = True) -> dict[str, Any]:
    """The condition, or its negation, in the service's language, which has no `$not`.

    A negated comparison of numbers is also true where the field holds no number; that part the service cannot say
    beyond a field that is missing.
    """
    match condition:
        case Not(inner):
            return written(inner, not holds)
        case All(()) | Some(()):
            empty = holds is isinstance(condition, All)
            return {"$or": [{"_": {"$exists": True}}, {"_": {"$exists": False}}]} if empty else _NEVER
        case All(of) | Some(of):
            word = "$and" if holds is isinstance(condition, All) else "$or"
            return {word: [written(c, holds) for c in of]}
        case Is(field, value) if holds:
            return {field: {"$eq": value}}
        case Is(field, value):
            return {"$or": [{field: {"$ne": value}}, {field: {"$exists": False}}]}
        case Within(field, op, bound) if holds:
            return {field: {f"${op}": bound}}
        case Within(field, op, bound):
            return {"$or": [{field: {f"${_OPPOSITE[op]}": bound}}, {field: {"$exists": False}}]}
        case Exists(field):
            return {field: {"$exists": holds}}


_OPPOSITE: Final = {"gt": "lte", "gte": "lt", "lt": "gte", "lte": "gt"}
_NEVER: Final = {"$and": [{"_": {"$exists": True}}, {"_": {"$exists": False}}]}
