"""One tenant's vector indexes in Amazon S3 Vectors: an index is a collection of vectors with metadata.

An index has the tag TenantID, which the data role's policy holds against the session's own: names cannot carry the
tenant there, for they have no capitals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from botocore.exceptions import ClientError

from shared.aws.clients import tenant_client
from shared.aws.reach import reaching
from shared.tenancy import Tenant

_PUT: Final = 500  # the service's limits for one call
_GET: Final = 100
_LISTED: Final = 500


class Refused(Exception):
    """The service does not take a value, such as a vector of nothing but zeros under cosine."""


class IndexGone(Exception):
    """There is no such index."""


class IndexFull(Exception):
    """The account, the bucket or the index holds as much as it may."""


_MEANING: Final = {
    "ValidationException": Refused,
    "NotFoundException": IndexGone,
    "ServiceQuotaExceededException": IndexFull,
}


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        meaning = _MEANING.get(error.response["Error"]["Code"])
        if meaning is None:
            raise
        raise meaning from None


class VectorIndex:
    """One index in the operator's vector bucket. Its calls raise Refused, IndexGone, IndexFull, Unavailable."""

    def __init__(self, tenant: Tenant, bucket: str, name: str) -> None:
        self._client = tenant_client(tenant, "s3vectors")
        self._tenant = tenant
        self._where = {"vectorBucketName": bucket, "indexName": name}

    def create(self, dimension: int, metric: str, unfiltered: Sequence[str]) -> None:
        """Make the index; `unfiltered` are the metadata's fields that no filter may name. One that is there stays."""
        try:
            self._call(
                "create_index",
                dataType="float32",
                dimension=dimension,
                distanceMetric=metric,
                metadataConfiguration={"nonFilterableMetadataKeys": list(unfiltered)},
                tags={"TenantID": self._tenant.id},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConflictException":
                raise

    def drop(self) -> None:
        """Remove the index and all that is in it; an absent one is no error."""
        with suppress(IndexGone):
            self._call("delete_index")

    def put(self, vectors: Sequence[tuple[str, Sequence[float], Mapping[str, Any]]]) -> None:
        """Write vectors `(key, numbers, metadata)`, over those of the same keys."""
        for begin in range(0, len(vectors), _PUT):
            some = vectors[begin : begin + _PUT]
            sent = [{"key": k, "data": {"float32": [float(n) for n in v]}, "metadata": dict(m)} for k, v, m in some]
            self._call("put_vectors", vectors=sent)

    def delete(self, keys: Sequence[str]) -> None:
        """Remove vectors; absent ones are no error."""
        for begin in range(0, len(keys), _PUT):
            self._call("delete_vectors", keys=list(keys[begin : begin + _PUT]))

    def present(self, keys: Sequence[str], *, metadata: bool) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Those of the keys that are there, each with its metadata where that is wanted."""
        for begin in range(0, len(keys), _GET):
            answer = self._call("get_vectors", keys=list(keys[begin : begin + _GET]), returnMetadata=metadata)
            yield from ((str(v["key"]), v.get("metadata") or {}) for v in answer["vectors"])

    def all(self, *, metadata: bool) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Every key, with its metadata where that is wanted."""
        more: dict[str, Any] = {}
        while True:
            answer = self._call("list_vectors", maxResults=_LISTED, returnMetadata=metadata, **more)
            yield from ((str(v["key"]), v.get("metadata") or {}) for v in answer["vectors"])
            if not answer.get("nextToken"):
                return
            more = {"nextToken": answer["nextToken"]}

    def nearest(
        self, vector: Sequence[float], k: int, condition: Mapping[str, Any] | None
    ) -> list[tuple[str, float, Mapping[str, Any]]]:
        """The nearest vectors `(key, distance, metadata)`, at most `k`, nearest first."""
        wanted: dict[str, Any] = {"topK": k, "queryVector": {"float32": [float(n) for n in vector]}}
        if condition is not None:
            wanted["filter"] = condition
        found: list[tuple[str, float, Mapping[str, Any]]] = []
        while True:
            answer = self._call("query_vectors", returnMetadata=True, returnDistance=True, **wanted)
            found += [(str(v["key"]), float(v["distance"]), v.get("metadata") or {}) for v in answer["vectors"]]
            if not answer.get("nextToken") or len(found) >= k:
                return found[:k]
            wanted["nextToken"] = answer["nextToken"]

    def _call(self, operation: str, **parameters: Any) -> Any:
        with reaching("S3 Vectors"), _in_our_words():
            return getattr(self._client, operation)(**self._where, **parameters)
