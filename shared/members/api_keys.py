"""Making, listing and revoking API keys."""

from __future__ import annotations

import secrets
from typing import Final

from shared.clock import now_ms
from shared.errors import Forbidden, Invalid, Problem
from shared.ids import ulid
from shared.members import access
from shared.members.model import ApiKey
from shared.members.store import MemberStore
from shared.store.pages import Listing
from shared.store.table import TenantTable
from shared.tenancy import ROLES, Principal, Role, Tenant

_SECRET_BYTES: Final = 24  # 192 bits, in hex: the parts of a key are separated by `_`


def minted(
    tenant: Tenant,
    name: str,
    role: Role,
    created_by: str,
    scopes: tuple[str, ...] | None = None,
    expires_at: int | None = None,
) -> tuple[ApiKey, str]:
    """A new key, not yet stored, and its text `sw_<tenant>_<id>_<secret>`, which is to be shown once."""
    id_part, secret = ulid(), secrets.token_hex(_SECRET_BYTES)
    key = ApiKey(
        id=f"key_{id_part}",
        name=name,
        role=role,
        created_at=now_ms(),
        created_by=created_by,
        secret_hash=access.hash_of(secret),
        scopes=scopes,
        expires_at=expires_at,
    )
    return key, f"sw_{tenant.id}_{id_part}_{secret}"


def create(
    who: Principal, name: str, role: Role, scopes: tuple[str, ...] | None, expires_at: int | None
) -> tuple[ApiKey, str]:
    """A new key and its text. It reaches no further than its maker. Raises Forbidden, Invalid."""
    if ROLES.index(role) > ROLES.index(who.role):
        raise Forbidden(f"a key's role cannot be above your own, which is {who.role}", code="role")
    if who.scopes is not None and not (scopes is not None and all(_within(s, who.scopes) for s in scopes)):
        raise Forbidden("a key's scopes cannot reach beyond those of the key that makes it", code="scope")
    if expires_at is not None and expires_at <= now_ms():
        problem = Problem("past", "must be in the future", "expires_at")
        raise Invalid("expires_at must be in the future", errors=[problem])
    store = MemberStore(TenantTable(who.tenant))
    # What a key makes counts as made by the user behind it, so it ends when they are removed.
    created_by = who.user_id or store.api_key(who.id).created_by
    key, text = minted(who.tenant, name, role, created_by, scopes, expires_at)
    store.add_api_key(key)
    return key, text


def _within(scope: str, held: tuple[str, ...]) -> bool:
    return "*" in held or scope in held or scope.split(":")[0] + ":*" in held


def listing(who: Principal, cursor: str | None, limit: int) -> Listing[ApiKey]:
    """The tenant's keys."""
    return MemberStore(TenantTable(who.tenant)).api_keys(cursor, limit)


def get(who: Principal, key_id: str) -> ApiKey:
    """One key. Raises NotFound."""
    return MemberStore(TenantTable(who.tenant)).api_key(key_id)


def revoke(who: Principal, key_id: str) -> None:
    """End a key. Raises NotFound; Forbidden for a key whose role is above the caller's."""
    store = MemberStore(TenantTable(who.tenant))
    if ROLES.index(store.api_key(key_id).role) > ROLES.index(who.role):
        raise Forbidden("this key's role is above your own", code="role")
    store.remove_api_key(key_id)
    access.forget(key_id)


def revoke_above(tenant: Tenant, user_id: str, role: Role | None) -> None:
    """End the keys that a user has made and that reach above `role`; all of them for None."""
    store = MemberStore(TenantTable(tenant))
    for key in store.api_keys_of(user_id):
        if role is None or ROLES.index(key.role) > ROLES.index(role):
            store.remove_api_key(key.id)
            access.forget(key.id)
