"""What is asked of a tenant's Qdrant. Loads qdrant-client, so import it when needed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn

import pydantic
from qdrant_client import models
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from shared.nodes.base import Call, NodeError
from shared.nodes.world import Credential
from shared.outbound.qdrant import client, unreachable

MAX_BYTES: Final = 20_000_000
MAX_DIMENSIONS: Final = 65_536


async def search(call: Call, found: Credential) -> list[dict[str, Any]]:
    """The points nearest to the input's vector, best first. Raises NodeError."""
    vector, where = _vector(call.inputs.get("query")), _filter(call.inputs.get("filter"))
    config = call.config
    server = await client(found.values, call.world.allowed_hosts)
    async with _as_node_errors():
        answer = await server.query_points(
            str(config["collection"]),
            query=vector,
            using=config.get("using") or None,
            query_filter=where,
            limit=int(config.get("limit", 10)),
            offset=int(config.get("offset", 0)) or None,
            score_threshold=config.get("score_threshold"),
            with_payload=bool(config.get("with_payload", True)),
            with_vectors=bool(config.get("with_vectors", False)),
            timeout=max(1, int(call.timeout_seconds)),
        )
    points = [_point(p) for p in answer.points]
    size = len(json.dumps(points))
    if size > MAX_BYTES:
        raise NodeError("ResponseTooLarge", f"the points are over {MAX_BYTES:,} bytes as JSON", retryable=False)
    call.usage.update(results=len(points), bytes=size)
    return points


def _point(point: models.ScoredPoint) -> dict[str, Any]:
    made: dict[str, Any] = point.model_dump(mode="json", include={"id", "score", "payload"})
    if point.vector is not None:
        made["vector"] = point.model_dump(mode="json", include={"vector"})["vector"]
    return made


def _vector(value: Any) -> list[float]:
    numbers = isinstance(value, list) and all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in value)
    if not numbers or not 0 < len(value) <= MAX_DIMENSIONS:
        _refuse(f"query must be an array of 1 to {MAX_DIMENSIONS:,} numbers")
    return [float(n) for n in value]


def _filter(value: Any) -> models.Filter | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        _refuse("filter must be an object")
    try:
        return models.Filter.model_validate(dict(value))
    except (pydantic.ValidationError, RecursionError):
        _refuse("filter is none of Qdrant's (must, should, must_not, min_should)")


@asynccontextmanager
async def _as_node_errors() -> AsyncIterator[None]:
    try:
        yield
    except UnexpectedResponse as error:
        raise _refused(error.status_code or 0) from None
    except ResponseHandlingException as error:
        name, message = unreachable(error.source)
        raise NodeError(name, message, retryable=name not in ("BlockedAddress", "InvalidResponse")) from None
    except (ApiException, ValueError):
        raise NodeError("InvalidResponse", "Qdrant's answer cannot be read") from None


def _refused(status: int) -> NodeError:
    # What it says may repeat what was sent.
    if status in (401, 403):
        return NodeError("AuthenticationFailed", f"Qdrant refused the key ({status})", retryable=False)
    if status == 404:
        return NodeError("NotFound", "there is no such collection", retryable=False)
    if status == 429 or status >= 500:
        return NodeError("ConnectionFailed", f"Qdrant does not take it right now ({status})")
    return NodeError(
        "QueryFailed", f"Qdrant refused the query ({status}): see to dimensions and filter", retryable=False
    )


def _refuse(message: str) -> NoReturn:
    raise NodeError("InvalidInput", message, retryable=False)
