"""Opaque cursors: where a listing goes on, marked with the tenant and the listing it came from."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Generic, TypeVar

from shared.answers import size_of
from shared.errors import BadRequest
from shared.ids import digest
from shared.store.table import Page
from shared.tenancy import Tenant

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
# Of a page's things; the rest of what an answer may be is for what views add to them, such as times as text.
MAX_BYTES = 5_000_000
_MAX_READS = 20
_MAX_ROWS = 1_000  # of one read; DynamoDB ends it at a megabyte besides


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
    """Up to `limit` shaped items that `keep` accepts, reading on, more at a time, where a filter leaves a page short.

    A filter that lets little through may still give fewer, with a cursor to go on from: one call reads only so far,
    some 15,000 items.
    So do large items: they end a page, at the earliest after its first, before it is more than an answer may be.
    """
    start = decode(tenant, listing, cursor)
    found: list[T] = []
    left, most = MAX_BYTES, limit
    for _ in range(_MAX_READS):
        page = fetch(start, most)
        shapes = (shape(i) if keep(i) else None for i in page.items)
        fit, shaped, size = _fitting(shapes, limit - len(found), left, not found)
        found += shaped
        left -= size
        if fit < len(page.items):
            start = page.after(fit) if fit else start
            break
        start = page.last
        if start is None or len(found) == limit:
            break
        most = min(4 * most, max(_MAX_ROWS, limit))
    return Listing(found, encode(tenant, listing, start))


def _fitting(items: Iterable[T | None], most: int, left: int, first: bool) -> tuple[int, list[T], int]:
    """How many items fit (at most so many that are kept, of so many bytes), those that are kept, and their size. They
    are shaped one by one: a few thousand bytes may unfold to some millions.
    """
    fit, kept, size = 0, list[T](), 0
    for item in items:
        if item is not None:
            more = size_in_answer(item)
            if len(kept) == most or (size + more > left and not (first and not kept)):
                break
            kept.append(item)
            size += more
        fit += 1
    return fit, kept, size


def size_in_answer(value: Any) -> int:
    """About how many bytes a value takes in an answer, as `shared.answers` counts."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), skipkeys=True, default=_plain)
    return size_of(text.encode("utf-8", "surrogatepass"))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    return str(value)
