"""Access tokens by OAuth2 (RFC 6749, client credentials and refresh tokens): fetched once, kept encrypted.

A token is kept in its credential's record until shortly before it expires. Of many that want a new one at the same
time, one takes a lease and fetches it; the others wait for what it gets. A refresh token that comes with it is written
in the same conditional write, or not at all when a person has rotated the credential meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from shared.clock import now_ms
from shared.credentials import sealing
from shared.credentials.model import CredentialRecord, Lease
from shared.credentials.signing import OAUTH2
from shared.credentials.store import CredentialStore
from shared.credentials.token_server import Granted, fetched
from shared.errors import Invalid, PreconditionFailed, Unavailable
from shared.ids import ulid

_PATIENCE_S: Final = 30.0
_LEASE_MS: Final = 25_000  # longer than a fetch and its writes take
_LOOK_AGAIN_S: Final = (0.1, 0.2, 0.4, 0.8)  # the last one again and again
_WRITES: Final = 4


async def access_token(
    store: CredentialStore, name: str, allowed_hosts: frozenset[str], stale: str | None = None
) -> str:
    """An access token for the credential of that name: the one that is kept, or a new one if it is `stale`.

    Raises NotFound, Invalid (of another kind), TokenRefused, Unavailable.
    """
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await _access_token(store, name, allowed_hosts, stale)
    except TimeoutError:
        raise Unavailable(f"no access token for the credential {name} within {_PATIENCE_S:g} seconds") from None


async def _access_token(store: CredentialStore, name: str, allowed_hosts: frozenset[str], stale: str | None) -> str:
    looked = 0
    while True:
        record = await asyncio.to_thread(store.get, name)
        if record.kind not in OAUTH2:
            raise Invalid(f"the credential {name} is of the kind {record.kind}, which has no access tokens")
        token = await asyncio.to_thread(_good_token, store, record, stale)
        if token is not None:
            return token
        lease = Lease(ulid(), now_ms() + _LEASE_MS)
        try:
            leased = await asyncio.to_thread(store.lease, record, lease)
            if leased is not None:
                # Not given up half way: a refresh token that was used and whose successor is not kept is lost.
                return await asyncio.shield(_renewed(store, leased, lease, allowed_hosts, stale))
        except PreconditionFailed:
            continue  # rotated meanwhile: with the new values, then
        await asyncio.sleep(_LOOK_AGAIN_S[min(looked, len(_LOOK_AGAIN_S) - 1)])
        looked += 1


def _good_token(store: CredentialStore, record: CredentialRecord, stale: str | None) -> str | None:
    if record.token is None or record.token.expires_at <= now_ms():
        return None
    token = sealing.token_of(store.tenant, record)
    return None if token == stale else token


async def _renewed(
    store: CredentialStore,
    record: CredentialRecord,
    lease: Lease,
    allowed_hosts: frozenset[str],
    stale: str | None,
) -> str:
    try:
        token = await asyncio.to_thread(_good_token, store, record, stale)  # fetched since the record was read
        if token is None:
            values = await asyncio.to_thread(sealing.values_of, store.tenant, record)
            granted = await fetched(record.kind, values, allowed_hosts)
            await _keep(store, record, values, granted)
            return granted.access_token
    except BaseException:  # a cancelled fetch too gives its lease back
        await _released(store, record, lease)
        raise
    await _released(store, record, lease)
    return token


async def _released(store: CredentialStore, record: CredentialRecord, lease: Lease) -> None:
    with suppress(Unavailable):  # it lapses by itself; the token, or why there is none, is what counts
        await asyncio.to_thread(store.release, record, lease)


async def _keep(store: CredentialStore, record: CredentialRecord, values: Mapping[str, Any], granted: Granted) -> None:
    def write() -> None:
        sealed = record.sealed
        if granted.refresh_token not in (None, values.get("refresh_token")):
            sealed = sealing.resealed(store.tenant, record, {**values, "refresh_token": granted.refresh_token})
        store.keep_token(
            record, sealing.sealed_token(store.tenant, record, granted.access_token, granted.expires_at), sealed
        )

    for left in reversed(range(_WRITES)):
        try:
            await asyncio.to_thread(write)
            return
        except Unavailable:
            if not left:
                raise
            await asyncio.sleep(0.5)
