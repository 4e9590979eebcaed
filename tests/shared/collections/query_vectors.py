"""What moto's S3 Vectors lacks: QueryVectors, as AWS documents it, and the words of its refusals.

A stand-in: it says nothing of how the real service finds neighbours, only that what we send is what it takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
from moto.core.responses import ActionResult
from moto.s3vectors import urls
from moto.s3vectors.exceptions import ValidationError
from moto.s3vectors.responses import S3VectorsResponse

_PATH = "{0}/QueryVectors$"
_LOGIC = {"$and": all, "$or": any}
_NUMBERS = {
    "$gt": lambda a, b: a > b,
    "$gte": lambda a, b: a >= b,
    "$lt": lambda a, b: a < b,
    "$lte": lambda a, b: a <= b,
}


def _query(response: S3VectorsResponse) -> ActionResult:
    index = response.s3vectors_backend.get_index(
        response._get_param("vectorBucketName"), response._get_param("indexName"), response._get_param("indexArn")
    )
    asked = np.array(response._get_param("queryVector")["float32"], dtype=np.float32)
    if len(asked) != index.dimension or not asked.any():
        raise ValidationError("queryVector")
    condition = response._get_param("filter")
    found = []
    for vector in index.vectors.values():
        if condition is None or fits(condition, vector.metadata or {}):
            own = np.array(vector.data["float32"], dtype=np.float32)
            found.append({"key": vector.key, "metadata": vector.metadata, "distance": distance(index, own, asked)})
    found.sort(key=lambda v: v["distance"])
    return ActionResult({"vectors": found[: response._get_param("topK")], "distanceMetric": index.distance_metric})


def distance(index: Any, own: Any, asked: Any) -> float:
    if index.distance_metric == "euclidean":
        return float(np.linalg.norm(own - asked))
    return float(1 - own @ asked / (np.linalg.norm(own) * np.linalg.norm(asked)))


def fits(condition: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
    """The service's grammar; only what it documents, so there is no `$not`, and text fields of ours cannot be named."""
    results = []
    for name, value in condition.items():
        if name in _LOGIC:
            results.append(_LOGIC[name]([fits(c, metadata) for c in value]))
        elif name.startswith("$") or name in ("_text", "_other"):
            raise ValidationError("filter")
        else:
            tests = value if isinstance(value, Mapping) else {"$eq": value}
            results += [_holds(op, operand, metadata, name) for op, operand in tests.items()]
    return all(results)


def _holds(op: str, operand: Any, metadata: Mapping[str, Any], name: str) -> bool:
    if op == "$exists":
        return (name in metadata) is operand
    if name not in metadata:
        return False
    held = metadata[name] if isinstance(metadata[name], list) else [metadata[name]]
    if op == "$eq":
        return any(_same(v, operand) for v in held)
    if op == "$ne":
        return not any(_same(v, operand) for v in held)
    if op in _NUMBERS:
        return any(isinstance(v, int | float) and not isinstance(v, bool) and _NUMBERS[op](v, operand) for v in held)
    raise ValidationError("filter")


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) is isinstance(other, bool) and one == other


@contextmanager
def queries() -> Iterator[None]:
    """Moto answers QueryVectors. To be entered before moto is."""
    with (
        patch.dict(urls.url_paths, {_PATH: S3VectorsResponse.dispatch}),
        patch.object(S3VectorsResponse, "query_vectors", _query, create=True),
    ):
        yield
