"""A tenant's cache: values that runs keep for each other for a while."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared import limits
from shared.cache.rules import checked_key, encoded, lifetime_ms
from shared.clock import now_ms
from shared.ids import digest
from shared.store.keys import Key
from shared.store.table import TenantTable


@dataclass(frozen=True, slots=True)
class Hit:
    """What was found; a value that is null is found, too."""

    value: Any


class CacheStore:
    """One tenant's cache, the same for all of its workflows. The last write of a key holds."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table

    def get(self, key: str) -> Hit | None:
        """What the key holds, or None. Raises Invalid, Unavailable."""
        at = self._key(key)
        item = self._table.get(at, consistent=True)
        return Hit(json.loads(item["value"])) if item and _is_fresh(item) else None

    def set(self, key: str, value: Any, ttl_seconds: float | None = None) -> None:
        """Keep a value of JSON, for an hour unless `ttl_seconds` says otherwise.

        Raises Invalid (key, ttl, no JSON), TooLarge, RateLimited (`quota_exceeded`), Unavailable.
        """
        at, body = self._key(key), encoded(value)
        expires_at = now_ms() + lifetime_ms(ttl_seconds)
        limits.count_cache_write(self._table.tenant, len(body))
        # DynamoDB removes by `ttl`, in seconds and hours late; what a read goes by is `expires_at`.
        item = {"value": body, "expires_at": expires_at, "ttl": -(-expires_at // 1000)}
        self._table.put(at, item)

    def _key(self, key: str) -> Key:
        return self._table.keys.cached(digest("cache", checked_key(key)))


def _is_fresh(item: Mapping[str, Any]) -> bool:
    return int(item["expires_at"]) > now_ms()
