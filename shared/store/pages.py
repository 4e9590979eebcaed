"""Opaque cursors: where a listing goes on, marked with the tenant and the listing it came from."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from shared.errors import BadRequest
from shared.ids import digest
from shared.store.table import Page
from shared.tenancy import Tenant

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_MAX_READS = 20


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """What a list call answers: some things and the cursor to the next ones (None: that was all)."""

    items: list[T]
    next_cursor: str | None


def encode(tenant: Tenant, listing: str, last: dict[str, str] | None) -> str | None:
    """The cursor after `last`. `listing` names the query with its filters, so a cursor fits only where it came from."""
    if last is None:
        return None
    body = json.dumps([digest(tenant.id, listing), last], separators=(",", ":"))
    return base64.urlsafe_b64encode(body.encode()).decode().rstrip("=")


def decode(tenant: Tenant, listing: str, cursor: str | None) -> dict[str, str] | None:
    """Where a cursor points. Raises BadRequest for one that is malformed or from another listing.

    The mark in it is a check against mix-ups, not a secret: keys are held against the tenant when they are used.
    """
    if not cursor:
        return None
    try:
        mark, last = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        pairs = {str(k): str(v) for k, v in last.items()}
        json.dumps(pairs, ensure_ascii=False).encode()  # half a surrogate pair cannot be sent
    except (binascii.Error, ValueError, TypeError, AttributeError, RecursionError):
        raise BadRequest("cursor is malformed", code="bad_cursor") from None
    if mark != digest(tenant.id, listing) or not pairs.get("PK", "").startswith(f"T#{tenant.id}#"):
        raise BadRequest("cursor belongs to another list", code="bad_cursor")
    return pairs


def listing_of(
    tenant: Tenant,
    listing: str,
    cursor: str | None,
    limit: int,
    fetch: Callable[[dict[str, str] | None, int], Page],
    shape: Callable[[dict[str, Any]], T],
    keep: Callable[[dict[str, Any]], bool] = lambda _item: True,
) -> Listing[T]:
    """Up to `limit` shaped items that `keep` accepts, reading on where a filter leaves a page short.

    A filter that lets little through may still give fewer, with a cursor to go on from: one call reads only so far.
    """
    start = decode(tenant, listing, cursor)
    found: list[T] = []
    for _ in range(_MAX_READS):
        page = fetch(start, limit - len(found))
        found += [shape(i) for i in page.items if keep(i)]
        start = page.last
        if start is None or len(found) >= limit:
            break
    return Listing(found, encode(tenant, listing, start))
