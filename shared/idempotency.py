"""Doing a thing once for one key: the first answer is kept for 24 hours and given again to a repeat.

A call that dies in the middle (its process ends) leaves the key taken for two minutes, longer than any call may take;
then the key is free again. Once the thing is done, nothing that goes wrong with keeping the answer takes it away.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from shared.aws import kms
from shared.clock import now_ms
from shared.errors import Conflict, Invalid, Unavailable
from shared.ids import digest, ulid
from shared.log import logger
from shared.store.keys import Key
from shared.store.table import Attr, Change, ConditionFailed, TenantTable

_KEEP_S: Final = 24 * 3600
_WORKING_S: Final = 120
_MAX_KEPT: Final = 350_000  # an item may be 400 KB
_TRIES: Final = 4  # to keep an answer
_PAUSE_S: Final = 0.2
_PATIENCE_S: Final = 3.0  # after which there is no other try: somebody waits for the answer, for 29 s in all

_log = logger("idempotency")


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
    Conflict (the first answer could not be kept; nothing is done again), Unavailable and whatever `make` raises.
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
    try:
        answer = make()
    except BaseException:
        _free(table, at, holder)
        raise
    _keep(table, at, holder, answer, secret)
    return answer


def _free(table: TenantTable, at: Key, holder: str) -> None:
    try:
        table.delete(at, Attr("holder").eq(holder))
    except ConditionFailed:  # this call took longer than it may, and another one has the key
        return
    except Unavailable as error:  # it is free again by itself; why nothing was done is what counts
        _log.warning("key_not_freed", tenant_id=table.tenant.id, error=type(error).__name__)


def _keep(table: TenantTable, at: Key, holder: str, answer: Kept, secret: bool) -> None:
    """Keep the answer, or at least that there was one. It raises nothing: what is done is done, and is answered so."""
    packed, until = _packed(table, answer, secret), time.monotonic() + _PATIENCE_S
    for attempt in range(1, _TRIES + 1):
        kept = {"answer": packed, "secret": secret, "ttl": now_ms() // 1000 + _KEEP_S}
        try:
            table.update(at, Change(set=kept), Attr("holder").eq(holder))
            return
        except ConditionFailed:  # as in `_free`
            return
        except Exception as error:  # whatever it is: see above
            if attempt == _TRIES or time.monotonic() >= until:
                # The key stays taken as by a call that died: for its two minutes nothing is done again.
                _log.error("answer_not_kept", tenant_id=table.tenant.id, error=type(error).__name__)
                return
            if not isinstance(error, Unavailable):
                packed = None  # it is the answer that is not taken
            time.sleep(_PAUSE_S * attempt)  # nothing tells when the database is back


def _packed(table: TenantTable, answer: Kept, secret: bool) -> bytes | None:
    try:
        return _pack(table, answer, secret)
    except Exception as error:  # whatever it is: see `_keep`
        _log.error("answer_not_packed", tenant_id=table.tenant.id, error=type(error).__name__)
        return None


def _repeat(table: TenantTable, item: Mapping[str, Any], asked: str) -> Kept:
    if item.get("request") != asked:
        raise Invalid("this Idempotency-Key was used for another request", code="idempotency_mismatch")
    if "answer" not in item:
        raise InFlight("the first request with this Idempotency-Key is still at work; ask again for its answer")
    if item["answer"] is None:
        raise Conflict("this was done already; its answer could not be kept", code="idempotency_not_kept")
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
