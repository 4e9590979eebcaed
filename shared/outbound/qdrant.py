"""A client of a tenant's Qdrant, over its REST API. Loads qdrant-client, so import it when needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qdrant_client import AsyncQdrantClient

from shared.outbound.hosts import AddressRefused, NameNotFound
from shared.outbound.transport import PublicTransport
from shared.outbound.warm import warm


async def client(values: Mapping[str, Any], allowed: frozenset[str]) -> AsyncQdrantClient:
    """The event loop's client for a credential's values: only to public addresses. Do not close it."""
    url, key = str(values["url"]), str(values.get("api_key") or "")

    def make() -> AsyncQdrantClient:
        return AsyncQdrantClient(
            url=url,
            port=None,
            headers={"api-key": key} if key else {},
            check_compatibility=False,
            transport=PublicTransport(allowed),
            trust_env=False,
        )

    return await warm(("qdrant", url, key, allowed), make, AsyncQdrantClient.close)


def unreachable(error: Exception) -> tuple[str, str]:
    """Why there was no answer: an error's name and a message without secrets."""
    if isinstance(error, AddressRefused):
        return "BlockedAddress", str(error)
    if isinstance(error, NameNotFound):
        return "DnsError", str(error)
    if "Timeout" in type(error).__name__:
        return "Timeout", "Qdrant did not answer in time"
    if isinstance(error, ValueError):
        return "InvalidResponse", "Qdrant's answer cannot be read"
    return "ConnectionFailed", f"the connection to Qdrant failed: {type(error).__name__}"
