"""What the API does with credentials: make, list, change, rotate, remove, try out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from shared.clock import now_ms
from shared.credentials import checks, oauth, sealing
from shared.credentials.kinds import KINDS, faults, with_defaults
from shared.credentials.model import CredentialRecord
from shared.credentials.signing import OAUTH2
from shared.credentials.store import CredentialStore
from shared.credentials.token_server import TokenRefused
from shared.errors import Conflict, Invalid, PreconditionFailed, Problem
from shared.settings import settings
from shared.store.pages import Listing
from shared.store.table import TenantTable
from shared.tenancy import Principal

MAX_CREDENTIALS: Final = 1_000
_RESERVED: Final = frozenset({"kinds"})  # GET /credentials/kinds is something else
_TRIES: Final = 3


def credentials(who: Principal, cursor: str | None, limit: int) -> Listing[CredentialRecord]:
    """The tenant's credentials, by name."""
    return CredentialStore(TenantTable(who.tenant)).page(cursor, limit)


def credential(who: Principal, name: str) -> CredentialRecord:
    """One credential. Raises NotFound."""
    return CredentialStore(TenantTable(who.tenant)).get(name)


def create(who: Principal, name: str, kind: str, values: Mapping[str, Any], description: str) -> CredentialRecord:
    """A new credential. Raises Invalid, CredentialTaken, Conflict (as many as there may be), Unavailable."""
    if name in _RESERVED:
        raise Invalid(f"{name} is no name for a credential", errors=[Problem("reserved", "is taken", "name")])
    _check(kind, values)
    store = CredentialStore(TenantTable(who.tenant))
    if store.count() >= MAX_CREDENTIALS:
        raise Conflict(f"a tenant has at most {MAX_CREDENTIALS:,} credentials", code="quota_exceeded")
    now = now_ms()
    sealed = sealing.sealed_values(who.tenant, name, kind, values)
    made = CredentialRecord(name, kind, description, tuple(sorted(values)), now, now, now, sealed)
    store.create(made)
    return made


def change(
    who: Principal, name: str, values: Mapping[str, Any] | None, description: str | None, known: int | None
) -> CredentialRecord:
    """Change the fields that `values` names (None removes one) and the description; what is left out stays.

    Raises NotFound, Invalid, PreconditionFailed, Unavailable.
    """
    store = CredentialStore(TenantTable(who.tenant))
    if not values:
        return store.get(name) if description is None else store.describe(name, description, known)
    for left in reversed(range(_TRIES)):
        before = store.get(name)
        if known is not None and known != before.version:
            raise PreconditionFailed(f"the credential is at version {before.version} by now; read it again")
        try:
            return store.rotate(before, _rotated(who, before, values, description))
        except PreconditionFailed:
            # Somebody else's change, or a run has just been given a new refresh token: on top of that, then.
            if (known is not None and store.get(name).version != known) or not left:
                raise
    raise AssertionError


def _rotated(
    who: Principal, before: CredentialRecord, values: Mapping[str, Any], description: str | None
) -> CredentialRecord:
    kept = sealing.values_of(who.tenant, before) | dict(values)
    merged = {field: value for field, value in kept.items() if value is not None}
    _check(before.kind, merged)
    now = now_ms()
    return replace(
        before,
        fields=tuple(sorted(merged)),
        sealed=sealing.sealed_values(who.tenant, before.name, before.kind, merged),
        description=before.description if description is None else description,
        updated_at=now,
        rotated_at=now,
    )


def remove(who: Principal, name: str, known: int | None) -> None:
    """Remove a credential. Raises NotFound, PreconditionFailed."""
    CredentialStore(TenantTable(who.tenant)).remove(name, known)


@dataclass(frozen=True, slots=True)
class Tested:
    """How a test ended, in words for people; `tested_at` in ms, None if nothing could be tried."""

    outcome: Literal["ok", "failed", "not_tried"]
    message: str
    tested_at: int | None


def try_out(who: Principal, name: str, url: str | None) -> Tested:
    """Sign in with it and note how that went. Raises NotFound, Invalid, Conflict (rotated meanwhile), Unavailable."""
    store = CredentialStore(TenantTable(who.tenant))
    record, error = store.get(name), None
    try:
        asyncio.run(_try(who, store, record, url))
    except checks.NothingToTry as why:
        return Tested("not_tried", str(why), None)
    except (checks.CheckFailed, TokenRefused) as failed:
        error = str(failed)[:500]
    try:
        # Another refresh token may have come: that is no rotation, and the test holds for it.
        current = store.get(name)
        at = store.tested(current if current.rotated_at == record.rotated_at else record, now_ms(), error).tested_at
    except PreconditionFailed:
        raise Conflict(f"the credential {name} was rotated while it was tested; test it again") from None
    return Tested("failed", error, at) if error else Tested("ok", "it works", at)


async def _try(who: Principal, store: CredentialStore, record: CredentialRecord, url: str | None) -> None:
    hosts = settings().private_hosts
    if record.kind in OAUTH2 and url is None:
        # By way of the store: a server may take the refresh token for another one.
        await oauth.access_token(store, record.name, hosts, stale=sealing.token_of(who.tenant, record))
    else:
        values = with_defaults(record.kind, sealing.values_of(who.tenant, record))
        await checks.check(record.kind, values, hosts, url)


def _check(kind: str, values: Mapping[str, Any]) -> None:
    if kind not in KINDS:
        raise Invalid(f"there is no kind {kind[:100]}", code="unknown_kind")
    problems = faults(kind, values)
    if problems:
        raise Invalid(f"these are no values of a credential of the kind {kind}", errors=problems)
