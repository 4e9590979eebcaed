"""From a credential to a `Principal`: an API key or a token of the user pool. Both lead to exactly one tenant."""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import time
from typing import Final

from shared import tenancy
from shared.aws import jwks
from shared.clock import now_ms
from shared.errors import NotFound, Unauthorized
from shared.members.model import ApiKey
from shared.members.store import MemberStore, api_key_of
from shared.store.keys import Key, TenantKeys, user_directory
from shared.store.table import Directory, TenantTable
from shared.tenancy import Principal, Tenant

_CACHED_S: Final = 5.0  # so long a revoked key may still work in a process that has just seen it
_MAX_CACHED: Final = 1000
_TOUCH_MS: Final = 3_600_000

_SHAPE: Final = re.compile(r"sw_t[0-9A-Z]{26}_[0-9A-Z]{26}_[0-9a-f]{48}")

_lock = threading.Lock()
_seen: dict[str, tuple[float, Tenant, ApiKey]] = {}


def hash_of(secret: str) -> str:
    """What is stored of a key's secret. It is 192 random bits, so one round of SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def by_api_key(text: str) -> Principal:
    """Whose key this is. Raises Unauthorized, which does not say what of the key is unknown."""
    if not _SHAPE.fullmatch(text):
        raise _unknown()
    mark = hash_of(text)
    held = _seen.get(mark)
    if held and held[0] > time.monotonic():
        _, tenant, key = held
    else:
        tenant, key = _verified(text)
        with _lock:
            if len(_seen) >= _MAX_CACHED:
                _seen.clear()
            _seen[mark] = (time.monotonic() + _CACHED_S, tenant, key)
    if key.expires_at is not None and key.expires_at <= now_ms():
        raise Unauthorized("this API key has expired", code="key_expired")
    return Principal(tenant, "api_key", key.id, key.role, scopes=key.scopes, made_by=key.created_by)


def _unknown() -> Unauthorized:
    return Unauthorized("unknown API key", code="unknown_key")


def _verified(text: str) -> tuple[Tenant, ApiKey]:
    parts = tenancy.from_api_key(text)
    if parts is None:
        raise _unknown()
    claimed, key_id, secret = parts
    # Read with the function's own role: the data role is not to be assumed for a tenant that is only claimed.
    item = Directory().get(Key(TenantKeys(claimed).api_keys(), key_id))
    if item is None:
        raise _unknown()
    key = api_key_of(item)
    if not hmac.compare_digest(hash_of(secret), key.secret_hash):
        raise _unknown()
    now = now_ms()
    if now - (key.last_used_at or 0) >= _TOUCH_MS:
        MemberStore(TenantTable(claimed)).touch_api_key(key.id, now)
    return claimed, key


def by_token(token: str) -> Principal:
    """Whose token this is. The member is read each time, so who was removed is out at once. Raises Unauthorized."""
    claims = jwks.verify(token)
    entry = Directory().get(user_directory(str(claims["sub"])))
    if entry is None:
        raise Unauthorized("this user belongs to no tenant", code="no_tenant")
    tenant = tenancy.from_directory(entry)
    try:
        member = MemberStore(TenantTable(tenant)).member(entry["user_id"])
    except NotFound:
        raise Unauthorized("this user belongs to no tenant", code="no_tenant") from None
    return Principal(tenant, "user", member.id, member.role, user_id=member.id, user_types=member.user_types)


def forget(key_id: str | None = None) -> None:
    """Drop what is remembered of one key (it was revoked), or of all."""
    with _lock:
        for mark in [m for m, (_, _, key) in _seen.items() if key_id is None or key.id == key_id]:
            del _seen[mark]
