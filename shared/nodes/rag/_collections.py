"""The collection that a node of retrieval works on: found, opened, its texts embedded."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, Protocol, TypeVar

from shared.collections.filters import All, BadFilter, Condition, read
from shared.collections.model import MAX_K, BadPassage, CollectionRecord, Match, Passage, check_vector
from shared.errors import AppError, Invalid, NotFound, TooLarge
from shared.nodes.base import Call, NodeError
from shared.nodes.world import Holdings

T = TypeVar("T")
_AT_ONCE: Final = 1_024  # texts whose vectors are held as Python's numbers, eight times as large as they are kept


class Held(Protocol):
    """What a collection holds, wherever that is: as `shared.nodes.world.Holdings`, awaited. Raises NodeError."""

    async def upsert(self, passages: Sequence[Passage]) -> int: ...
    async def delete(self, ids: Sequence[str], where: Condition | None, within: Condition | None = None) -> int: ...
    async def nearest(self, vector: Sequence[float], k: int, where: Condition | None) -> list[Match]: ...
    async def with_words(self, text: str, k: int, where: Condition | None) -> list[Match] | None: ...
    async def count(self, where: Condition | None) -> int: ...


async def opened(call: Call) -> tuple[CollectionRecord, Held]:
    """The collection that `config.collection` names, and what it holds. Raises NodeError."""
    name = str(call.config["collection"])
    found = await _asked(lambda: call.world.collections.find(name))
    if found.backend != "qdrant":
        return found, _Ours(await _asked(lambda: call.world.collections.open(found)))
    from shared.nodes.rag._qdrant import connected

    return found, await connected(call, found)


class _Ours:
    """What is kept by us: its calls block, so they are made off the event loop."""

    def __init__(self, held: Holdings) -> None:
        self._held = held

    async def upsert(self, passages: Sequence[Passage]) -> int:
        return await _asked(lambda: self._held.upsert(passages))

    async def delete(self, ids: Sequence[str], where: Condition | None, within: Condition | None = None) -> int:
        return await _asked(lambda: self._held.delete(ids, where, within))

    async def nearest(self, vector: Sequence[float], k: int, where: Condition | None) -> list[Match]:
        return await _asked(lambda: self._held.nearest(vector, k, where))

    async def with_words(self, text: str, k: int, where: Condition | None) -> list[Match] | None:
        return await _asked(lambda: self._held.with_words(text, k, where))

    async def count(self, where: Condition | None) -> int:
        return await _asked(lambda: self._held.count(where))


async def _asked(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except NotFound as error:
        raise NodeError("CollectionNotFound", error.detail, retryable=False) from None
    except Invalid as error:
        raise NodeError("InvalidInput", error.detail, retryable=False) from None
    except TooLarge as error:
        raise NodeError("TooLarge", error.detail, retryable=False) from None
    except AppError as error:
        raise NodeError("Unavailable", error.detail) from None


async def embedded(
    call: Call, collection: CollectionRecord, texts: Sequence[str], purpose: Literal["document", "query"]
) -> list[Sequence[float]]:
    """The texts' vectors, by the collection's model. Raises NodeError."""
    if collection.model is None:
        raise NodeError("InvalidInput", "the collection names no model, so it takes vectors only", retryable=False)
    from shared.nodes.ai._embeddings import embed

    model = collection.model
    found: list[Sequence[float]] = []
    for begin in range(0, len(texts), _AT_ONCE):
        made = await embed(
            call,
            texts[begin : begin + _AT_ONCE],
            provider=model.provider,
            model=model.model,
            credential=model.credential,
            dimensions=collection.dimension if model.shortened else None,
            purpose=purpose,
        )
        found += [array("f", fitting(vector, collection.dimension)) for vector in made]
    return found


def fitting(vector: Sequence[float], dimension: int) -> Sequence[float]:
    """A vector that has as many numbers as the collection's. Raises NodeError InvalidInput."""
    try:
        check_vector(vector, dimension)
    except BadPassage as error:
        raise NodeError("InvalidInput", str(error), retryable=False) from None
    return vector


def condition(*given: Any) -> Condition | None:
    """All of these filters together; those that are None or empty say nothing. Raises NodeError InvalidInput."""
    try:
        read_ = tuple(read(each) for each in given if each is not None and each != {})
    except BadFilter as error:
        raise NodeError("InvalidInput", str(error), retryable=False) from None
    return None if not read_ else read_[0] if len(read_) == 1 else All(read_)


def how_many(call: Call, given: Any = None) -> int:
    """`k`: what is given with the question, or else the port, or else the config. Raises NodeError InvalidInput."""
    k = next(v for v in (given, call.inputs.get("k"), call.config["k"]) if v is not None)
    if isinstance(k, bool) or not isinstance(k, int | float) or k != int(k) or not 1 <= k <= MAX_K:
        raise NodeError("InvalidInput", f"k is a whole number from 1 to {MAX_K}", retryable=False)
    return int(k)


def document(match: Match) -> dict[str, Any]:
    """A passage as nodes hand it on."""
    return {"id": match.id, "content": match.text, "metadata": dict(match.metadata), "score": match.score}
