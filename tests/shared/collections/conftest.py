"""Collections of one tenant in each of the back ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from shared.collections.embedded import Embedded
from shared.collections.model import CollectionRecord
from shared.collections.s3_vectors import S3Vectors
from shared.collections.store import CollectionStore
from shared.ids import new_id
from shared.settings import settings
from shared.store.table import TenantTable
from tests.shared.collections.query_vectors import queries

Make = Callable[..., Any]


@pytest.fixture
def store(tenant) -> CollectionStore:
    return CollectionStore(TenantTable(tenant))


def record(name: str = "handbook", dimension: int = 3, **more: Any) -> CollectionRecord:
    return CollectionRecord(name, new_id("co"), 1, dimension, **more)


class Awaited:
    """A back end whose calls are awaited, called as those that block."""

    def __init__(self, held: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._held, self._loop = held, loop

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *given: self._loop.run_until_complete(getattr(self._held, name)(*given))


@pytest.fixture(params=["embedded", "s3_vectors", "qdrant"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """`make(metric=…)` gives a collection with three numbers in each vector, empty."""
    with queries() if request.param == "s3_vectors" else _nothing():
        yield from {"embedded": _embedded, "s3_vectors": _s3_vectors, "qdrant": _qdrant}[request.param](request)


class _nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def _embedded(request: pytest.FixtureRequest) -> Iterator[Make]:
    kept = request.getfixturevalue("store")

    def one(**more: Any) -> Embedded:
        kept.add(record(**more))
        return Embedded(kept, "handbook")

    yield one


def _s3_vectors(request: pytest.FixtureRequest) -> Iterator[Make]:
    import boto3

    tenant, patching = request.getfixturevalue("tenant"), request.getfixturevalue("monkeypatch")
    boto3.client("s3vectors", region_name="us-east-1").create_vector_bucket(vectorBucketName="sw-test-vectors")
    patching.setenv("SW_VECTOR_BUCKET", "sw-test-vectors")
    settings.cache_clear()

    def one(**more: Any) -> S3Vectors:
        made = S3Vectors(tenant, record(backend="s3_vectors", **more))
        made.create(3)
        return made

    yield one


def _qdrant(request: pytest.FixtureRequest) -> Iterator[Make]:
    from qdrant_client import AsyncQdrantClient

    from shared.nodes.rag._qdrant import Qdrant

    loop = asyncio.new_event_loop()
    client = AsyncQdrantClient(":memory:")
    yield lambda **more: Awaited(Qdrant(client, record(backend="qdrant", **more), 5), loop)
    loop.run_until_complete(client.close())
    loop.close()


def ids(found: Sequence[Any]) -> list[str]:
    return [m.id for m in found]
