"""A client of a tenant's Qdrant, over its REST API. Loads qdrant-client, so import it when needed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from qdrant_client import AsyncQdrantClient

from shared.outbound.hosts import AddressRefused, NameNotFound
from shared.outbound.transport import PublicTransport
from shared.outbound.warm import warm

_MOST_CLIENTS: Final = 16


@dataclass
class _Clients:
    """An event loop's clients, the one that was used last at the end: a loop outlives many tenants' calls."""

    held: dict[Hashable, AsyncQdrantClient] = field(default_factory=dict)

    async def of(self, key: Hashable, make: Callable[[], AsyncQdrantClient]) -> AsyncQdrantClient:
        found = self.held.pop(key, None) or make()
        self.held[key] = found
        if len(self.held) > _MOST_CLIENTS:
            await self.held.pop(next(iter(self.held))).close()
        return found

    async def close(self) -> None:
        while self.held:
            await self.held.popitem()[1].close()


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

    return await (await warm("qdrant", _Clients, _Clients.close)).of((url, key, allowed), make)


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
