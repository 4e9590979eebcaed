"""Doing a thing once for one key: the first answer is kept for 24 hours and given again to a repeat.

A call that dies in the middle (its process ends) leaves the key taken for two minutes, longer than any call may take;
then the key is free again.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from shared.aws import kms
from shared.clock import now_ms
from shared.errors import Conflict, Invalid
from shared.ids import digest, ulid
from shared.store.table import Attr, Change, ConditionFailed, TenantTable

_KEEP_S: Final = 24 * 3600
_WORKING_S: Final = 120
_MAX_KEPT: Final = 350_000  # an item may be 400 KB


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer: HTTP status, body (JSON as bytes) and headers. `replayed` says that it was given before."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = False


class InFlight(Conflict):
    """409: the first request with this key is still at work."""

    code = "idempotency_in_flight"
    retry_after = 1


def once(table: TenantTable, *, key: str, request: str, make: Callable[[], Kept], secret: bool = False) -> Kept:
    """`make()`, or what it gave when this key was first used.

    `request` is the request in full; only its digest is stored. Raises Invalid (same key, another request), InFlight,
    Conflict (the first answer was too large to be kept; nothing is done again) and whatever `make` raises.
    """
    at = table.keys.idempotency(digest("http", key))
    asked = digest(request)
    now = now_ms() // 1000
    holder = ulid()
    free = Attr("PK").not_exists() | Attr("ttl").lte(now)
    try:
        table.put(at, {"request": asked, "holder": holder, "ttl": now + _WORKING_S}, free)
    except ConditionFailed as taken:
        return _repeat(table, taken.item or {}, asked)
    mine = Attr("holder").eq(holder)
    try:
        answer = make()
    except BaseException:
        _quietly(lambda: table.delete(at, mine))
        raise
    kept = {"answer": _pack(table, answer, secret), "secret": secret, "ttl": now + _KEEP_S}
    _quietly(lambda: table.update(at, Change(set=kept), mine))
    return answer


def _quietly(write: Callable[[], Any]) -> None:
    """Another call may hold the key by now, if this one took longer than it may; then the key is theirs."""
    try:
        write()
    except ConditionFailed:
        return


def _repeat(table: TenantTable, item: Mapping[str, Any], asked: str) -> Kept:
    if item.get("request") != asked:
        raise Invalid("this Idempotency-Key was used for another request", code="idempotency_mismatch")
    if "answer" not in item:
        raise InFlight("the first request with this Idempotency-Key is still at work; ask again for its answer")
    if item["answer"] is None:
        raise Conflict("this was done already; its answer was too large to be kept", code="idempotency_not_kept")
    packed: bytes = item["answer"]
    if item["secret"]:
        packed = kms.decrypt(table.tenant, packed, purpose="idempotency")
    status, headers, body = json.loads(zlib.decompress(packed))
    return replace(Kept(status, body.encode(), headers), replayed=True)


def _pack(table: TenantTable, answer: Kept, secret: bool) -> bytes | None:
    packed = zlib.compress(json.dumps([answer.status, dict(answer.headers), answer.body.decode()]).encode())
    if secret:
        fits = len(packed) <= kms.MAX_BYTES
        return kms.encrypt(table.tenant, packed, purpose="idempotency") if fits else None
    return packed if len(packed) <= _MAX_KEPT else None
