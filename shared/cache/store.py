"""A tenant's cache: values that runs keep for each other for a while."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.aws.reach import reaching
from shared.clock import now_ms
from shared.errors import Invalid, TooLarge
from shared.ids import digest
from shared.store.keys import Key
from shared.store.table import TenantTable

MAX_KEY_BYTES: Final = 1_024
MAX_VALUE_BYTES: Final = 262_144  # of JSON; an item of DynamoDB holds 400 KB
DEFAULT_TTL_S: Final = 3_600
MAX_TTL_S: Final = 30 * 24 * 3_600


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
        with reaching("the cache"):
            item = self._table.get(at, consistent=True)
        return Hit(json.loads(item["value"])) if item and _is_fresh(item) else None

    def set(self, key: str, value: Any, ttl_seconds: float | None = None) -> None:
        """Keep a value of JSON, for an hour unless `ttl_seconds` says otherwise.

        Raises Invalid (key, ttl, no JSON), TooLarge, Unavailable.
        """
        at, body = self._key(key), _encoded(value)
        expires_at = now_ms() + _lifetime_ms(ttl_seconds)
        # DynamoDB removes by `ttl`, in seconds and hours late; what a read goes by is `expires_at`.
        item = {"value": body, "expires_at": expires_at, "ttl": -(-expires_at // 1000)}
        with reaching("the cache"):
            self._table.put(at, item)

    def _key(self, key: str) -> Key:
        if not isinstance(key, str) or not key:
            raise Invalid("a cache key is a text that is not empty", code="bad_key")
        try:
            size = len(key.encode())
        except UnicodeEncodeError:
            raise Invalid("a cache key is valid Unicode text", code="bad_key") from None
        if size > MAX_KEY_BYTES:
            raise Invalid(f"a cache key has at most {MAX_KEY_BYTES:,} bytes; this has {size:,}", code="bad_key")
        return self._table.keys.cached(digest("cache", key))


def _is_fresh(item: Mapping[str, Any]) -> bool:
    return int(item["expires_at"]) > now_ms()


def _lifetime_ms(ttl_seconds: float | None) -> int:
    ttl = DEFAULT_TTL_S if ttl_seconds is None else ttl_seconds
    if isinstance(ttl, bool) or not isinstance(ttl, int | float) or not 1 <= ttl <= MAX_TTL_S:
        raise Invalid(f"a ttl is a number of seconds from 1 to {MAX_TTL_S:,}", code="bad_ttl")
    return round(ttl * 1000)


def _encoded(value: Any) -> bytes:
    try:
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise Invalid("a cached value is JSON", code="bad_value") from None
    if len(body) > MAX_VALUE_BYTES:
        raise TooLarge(f"a cached value has at most {MAX_VALUE_BYTES:,} bytes as JSON; this has {len(body):,}")
    return body
