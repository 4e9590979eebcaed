"""What may be cached, under which keys, and for how long: the same for every place a cache is kept in."""

from __future__ import annotations

import json
from typing import Any, Final

from shared.errors import Invalid, TooLarge

MAX_KEY_BYTES: Final = 1_024
MAX_VALUE_BYTES: Final = 262_144  # of JSON; an item of DynamoDB holds 400 KB
DEFAULT_TTL_S: Final = 3_600
MAX_TTL_S: Final = 30 * 24 * 3_600


def checked_key(key: Any) -> str:
    """The key. Raises Invalid."""
    if not isinstance(key, str) or not key:
        raise Invalid("a cache key is a text that is not empty", code="bad_key")
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise Invalid("a cache key is valid Unicode text", code="bad_key") from None
    if size > MAX_KEY_BYTES:
        raise Invalid(f"a cache key has at most {MAX_KEY_BYTES:,} bytes; this has {size:,}", code="bad_key")
    return key


def lifetime_ms(ttl_seconds: Any) -> int:
    """For how long a value is kept; None is an hour. Raises Invalid."""
    ttl = DEFAULT_TTL_S if ttl_seconds is None else ttl_seconds
    if isinstance(ttl, bool) or not isinstance(ttl, int | float) or not 1 <= ttl <= MAX_TTL_S:
        raise Invalid(f"a ttl is a number of seconds from 1 to {MAX_TTL_S:,}", code="bad_ttl")
    return round(ttl * 1000)


def encoded(value: Any) -> bytes:
    """The value as JSON. Raises Invalid, TooLarge."""
    try:
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise Invalid("a cached value is JSON", code="bad_value") from None
    if len(body) > MAX_VALUE_BYTES:
        raise TooLarge(f"a cached value has at most {MAX_VALUE_BYTES:,} bytes as JSON; this has {len(body):,}")
    return body
