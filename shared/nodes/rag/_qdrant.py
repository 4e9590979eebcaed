"""A collection in a Qdrant of the tenant's own. Loads qdrant-client, so import it when needed."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from shared.collections.filters import All, Condition, Exists, Is, Not, Some, Within
from shared.collections.model import CollectionRecord, Match, Passage, score_of
from shared.nodes._credentials import credential
from shared.nodes.base import Call, NodeError
from shared.outbound.qdrant import client, unreachable

_DISTANCE: Final = {
    "cosine": models.Distance.COSINE,
    "dot": models.Distance.DOT,
    "euclidean": models.Distance.EUCLID,
}
_BATCH: Final = 256
_OURS: Final = uuid.UUID("6f1d3f0e-64a5-4b62-9a2f-3a1d9a4a3c55")  # Qdrant's ids are UUIDs: ours are made into such


async def connected(call: Call, collection: CollectionRecord) -> Qdrant:
    """The collection at the server that its credential names. Raises NodeError."""
    found = await credential(replace(call, config={"credential": collection.credential}), "qdrant")
    if found is None:
        raise NodeError("CredentialNotFound", "the collection names no credential", retryable=False)
    return Qdrant(await client(found.values, call.world.allowed_hosts), collection, call.timeout_seconds)


class Qdrant:
    """One collection there, of the same name; made when something is first written. Raises NodeError."""

    def __init__(self, client: AsyncQdrantClient, collection: CollectionRecord, timeout: float) -> None:
        self._client = client
        self._collection = collection
        self._name = collection.name
        self._timeout = max(1, int(timeout))

    async def upsert(self, passages: Sequence[Passage]) -> int:
        """Write passages, over those of the same ids; gives how many ids there were."""
        latest = list({p.id: p for p in passages}.values())
        async with _as_node_errors():
            await self._make()
            for begin in range(0, len(latest), _BATCH):
                points = [
                    models.PointStruct(
                        id=_point(p.id),
                        vector=[float(n) for n in p.vector],
                        payload={"id": p.id, "text": p.text, "metadata": dict(p.metadata)},
                    )
                    for p in latest[begin : begin + _BATCH]
                ]
                await self._client.upsert(self._name, points, wait=True, timeout=self._timeout)
        return len(latest)

    async def nearest(self, vector: Sequence[float], k: int, where: Condition | None) -> list[Match]:
        """The passages nearest to a vector, best first."""
        async with _as_node_errors():
            if not await self._client.collection_exists(self._name):
                return []
            answer = await self._client.query_points(
                self._name,
                query=[float(n) for n in vector],
                limit=k,
                query_filter=_filter(where),
                with_payload=True,
                timeout=self._timeout,
            )
        return [self._match(point.payload or {}, point.score) for point in answer.points]

    async def with_words(self, text: str, k: int, where: Condition | None) -> list[Match] | None:
        """None: it has no BM25 over what was written here."""
        del text, k, where
        return None

    async def delete(self, ids: Sequence[str], where: Condition | None, within: Condition | None = None) -> int:
        """Remove passages by id, and all for which `where` holds, of both those `within`; gives how many there were."""
        chosen: list[models.Condition] = [models.HasIdCondition(has_id=[_point(i) for i in ids])] if ids else []
        if where is not None:
            chosen.append(_written(where))
        if not chosen:
            return 0
        condition = models.Filter(must=[models.Filter(should=chosen), *([_written(within)] if within else [])])
        async with _as_node_errors():
            if not await self._client.collection_exists(self._name):
                return 0
            count = await self._client.count(self._name, count_filter=condition, exact=True, timeout=self._timeout)
            selector = models.FilterSelector(filter=condition)
            await self._client.delete(self._name, points_selector=selector, wait=True, timeout=self._timeout)
        return int(count.count)

    async def count(self, where: Condition | None) -> int:
        """How many passages there are for which the condition holds."""
        async with _as_node_errors():
            if not await self._client.collection_exists(self._name):
                return 0
            found = await self._client.count(self._name, count_filter=_filter(where), exact=True, timeout=self._timeout)
        return int(found.count)

    async def _make(self) -> None:
        if await self._client.collection_exists(self._name):
            return
        size = models.VectorParams(size=self._collection.dimension, distance=_DISTANCE[self._collection.metric])
        try:
            await self._client.create_collection(self._name, vectors_config=size, timeout=self._timeout)
        except UnexpectedResponse as error:
            if error.status_code != 409:  # somebody else has made it meanwhile
                raise

    def _match(self, payload: dict[str, Any], score: float) -> Match:
        euclidean = self._collection.metric == "euclidean"
        nearness = score_of("euclidean", score) if euclidean else float(score)
        return Match(str(payload.get("id", "")), str(payload.get("text", "")), payload.get("metadata") or {}, nearness)


def _point(passage_id: str) -> str:
    return str(uuid.uuid5(_OURS, passage_id))


def _filter(where: Condition | None) -> models.Filter | None:
    return None if where is None else models.Filter(must=[_written(where)])


def _written(condition: Condition) -> models.Condition:
    """The condition in Qdrant's language."""
    match condition:
        case All(of):
            return models.Filter(must=[_written(c) for c in of])
        case Some(of):
            return models.Filter(should=[_written(c) for c in of])
        case Not(inner):
            return models.Filter(must_not=[_written(inner)])
        case Is(field, value):
            if isinstance(value, bool | str):
                return models.FieldCondition(key=f"metadata.{field}", match=models.MatchValue(value=value))
            # Its match knows no numbers with a fraction.
            return models.FieldCondition(key=f"metadata.{field}", range=models.Range(gte=value, lte=value))
        case Within(field, op, bound):
            return models.FieldCondition(key=f"metadata.{field}", range=models.Range(**{op: bound}))
        case Exists(field):
            empty = models.IsEmptyCondition(is_empty=models.PayloadField(key=f"metadata.{field}"))
            return models.Filter(must_not=[empty])


@asynccontextmanager
async def _as_node_errors() -> AsyncIterator[None]:
    try:
        yield
    except UnexpectedResponse as error:
        raise _refused(error.status_code or 0) from None
    except ResponseHandlingException as error:
        raise _unreachable(error.source) from None
    except (ApiException, ValueError):
        raise NodeError("InvalidResponse", "Qdrant's answer cannot be read") from None


def _refused(status: int) -> NodeError:
    if status in (401, 403):
        return NodeError("AuthenticationFailed", f"Qdrant refused the key ({status})", retryable=False)
    if status == 429 or status >= 500:
        return NodeError("Unavailable", f"Qdrant answered {status}")
    # What it says may repeat what was sent; a vector of another dimension is the usual reason.
    return NodeError("InvalidInput", f"Qdrant refused the request ({status})", retryable=False)


def _unreachable(error: Exception) -> NodeError:
    name, message = unreachable(error)
    return NodeError(name, message, retryable=name != "BlockedAddress")
