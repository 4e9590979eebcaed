"""Tenants, users and user types: signing up, inviting, changing, removing, signing in."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from shared import tenancy
from shared.audit import service as audit
from shared.audit.model import Actor, Draft
from shared.aws import cognito
from shared.clock import now_ms
from shared.errors import Forbidden, Invalid, NotFound, PreconditionFailed, Problem
from shared.ids import new_id
from shared.members import api_keys
from shared.members.model import ApiKey, Member, TenantRecord, UserType
from shared.members.store import MemberStore
from shared.store.keys import user_directory
from shared.store.pages import Listing
from shared.store.table import Directory, TenantTable
from shared.tenancy import ROLES, Principal, Role, Tenant

# A user of the pool without a tenant is what a call that died in the middle left behind, once it is this old.
_ORPHAN_MS: Final = 300_000


@dataclass(frozen=True, slots=True)
class SignedUp:
    """A new tenant, its owner, and the owner's key: `key_text` is shown this once."""

    tenant: TenantRecord
    user: Member
    key: ApiKey
    key_text: str = field(repr=False)


def sign_up(name: str, email: str, password: str) -> SignedUp:
    """A new tenant with its owner and a key of theirs. Nothing is left behind if any step fails.

    Raises EmailTaken, WeakPassword.
    """
    tenant = tenancy.new_tenant()
    with ExitStack() as undo:
        user = pool_user(email, cognito.temporary_password(), undo)
        try:
            cognito.set_password(user.subject, password)
        except cognito.WeakPassword as weak:
            problem = Problem(weak.code, "does not meet the password policy", "owner.password")
            raise cognito.WeakPassword(weak.detail, errors=[problem]) from None
        now = now_ms()
        record = TenantRecord(tenant.id, name, now)
        owner = Member(new_id("us"), email, "owner", user.subject, now)
        key, text = api_keys.minted(tenant, "Made at sign-up", "owner", owner.id)
        store = MemberStore(TenantTable(tenant))
        undo.callback(store.dissolve, owner, key)
        store.found(record, owner, key)
        enter(tenant, owner, undo)
        undo.pop_all()
    actor = Actor("user", owner.id, owner.id)
    audit.append(tenant, Draft(now, actor, "tenants_sign_up", "tenants", tenant.id))
    return SignedUp(record, owner, key, text)


def pool_user(email: str, password: str, undo: ExitStack) -> cognito.PoolUser:
    """A new user of the pool, removed again if `undo` is. Raises EmailTaken, WeakPassword."""
    try:
        user = cognito.create_user(email, password)
    except cognito.EmailTaken:
        found = cognito.find_user(email)
        if found is None or not _orphan(found):
            raise
        cognito.delete_user(found.subject)
        user = cognito.create_user(email, password)
    undo.callback(cognito.delete_user, user.subject)
    return user


def _orphan(user: cognito.PoolUser) -> bool:
    entry = Directory().get(user_directory(user.subject))
    if entry is None:
        return now_ms() - user.created > _ORPHAN_MS
    try:
        MemberStore(TenantTable(tenancy.from_directory(entry))).member(entry["user_id"])
    except NotFound:
        return now_ms() - user.created > _ORPHAN_MS
    return False


def enter(tenant: Tenant, member: Member, undo: ExitStack) -> None:
    """Say in the directory whose user this is."""
    key = user_directory(member.subject)
    undo.callback(Directory().delete, key)
    Directory().put(key, {"tenant_id": tenant.id, "user_id": member.id})


def tenant(who: Principal) -> TenantRecord:
    """The caller's tenant."""
    return MemberStore(TenantTable(who.tenant)).tenant()


def change_tenant(who: Principal, values: Mapping[str, Any], known: int | None) -> TenantRecord:
    """Change the tenant's `name`, or its `assistant` (null: none). Raises PreconditionFailed."""
    return MemberStore(TenantTable(who.tenant)).change_tenant(values, known)


def users(who: Principal, cursor: str | None, limit: int) -> Listing[Member]:
    """The tenant's users."""
    return MemberStore(TenantTable(who.tenant)).members(cursor, limit)


def user(who: Principal, user_id: str) -> Member:
    """One user. Raises NotFound."""
    return MemberStore(TenantTable(who.tenant)).member(user_id)


def invite(who: Principal, email: str, role: Role, user_types: tuple[str, ...]) -> tuple[Member, str]:
    """A new user and their temporary password, which is shown this once. Raises EmailTaken, Forbidden, Invalid."""
    _may_give(who, role)
    store = MemberStore(TenantTable(who.tenant))
    _check_types(store, user_types)
    password = cognito.temporary_password()
    with ExitStack() as undo:
        found = pool_user(email, password, undo)
        member = Member(new_id("us"), email, role, found.subject, now_ms(), user_types)
        enter(who.tenant, member, undo)
        store.add_member(member)  # last: until it is there, the directory's entry leads nowhere
        undo.pop_all()
    return member, password


def change_user(
    who: Principal, user_id: str, role: Role | None, user_types: tuple[str, ...] | None, known: int | None
) -> Member:
    """Change a user's role or types. Raises NotFound, Forbidden, Invalid, LastOwner, PreconditionFailed.

    Keys that the user has made and that reach above the new role end with it.
    """
    store = MemberStore(TenantTable(who.tenant))
    before = _theirs(who, store, user_id, known)
    values: dict[str, Any] = {}
    if role is not None and role != before.role:
        _may_give(who, role)
        values["role"] = role
    if user_types is not None:
        _check_types(store, user_types)
        values["user_types"] = list(user_types)
    if not values:
        return before
    after = store.change_member(before, values)
    if ROLES.index(after.role) < ROLES.index(before.role):
        api_keys.revoke_above(who.tenant, user_id, after.role)
    return after


def remove_user(who: Principal, user_id: str, known: int | None) -> None:
    """Remove a user: they are out at once, and so are the keys they made. Raises NotFound, Forbidden, LastOwner."""
    store = MemberStore(TenantTable(who.tenant))
    member = _theirs(who, store, user_id, known)
    store.remove_member(member)
    api_keys.revoke_above(who.tenant, user_id, None)
    Directory().delete(user_directory(member.subject))
    cognito.delete_user(member.subject)


def _theirs(who: Principal, store: MemberStore, user_id: str, known: int | None) -> Member:
    member = store.member(user_id)
    if ROLES.index(member.role) > ROLES.index(who.role):
        raise Forbidden(f"only an {member.role} may change an {member.role}", code="role")
    if known is not None and known != member.version:
        raise PreconditionFailed(f"the user is at version {member.version} by now; read it again")
    return member


def check_gift(who: Principal, role: Role, user_types: tuple[str, ...]) -> None:
    """Pass if the caller may make somebody a user like this. Raises Forbidden, Invalid."""
    _may_give(who, role)
    _check_types(MemberStore(TenantTable(who.tenant)), user_types)


def is_taken(email: str) -> bool:
    """Whether an address has an account."""
    found = cognito.find_user(email)
    return found is not None and not _orphan(found)


def _may_give(who: Principal, role: Role) -> None:
    if ROLES.index(role) > ROLES.index(who.role):
        raise Forbidden(f"only an {role} can make an {role}; you are {who.role}", code="role")


def _check_types(store: MemberStore, user_types: tuple[str, ...]) -> None:
    problems = []
    for at, type_id in enumerate(user_types):
        try:
            store.user_type(type_id)
        except NotFound:
            problems.append(Problem("unknown_user_type", "no such user type", f"user_types.{at}"))
    if problems:
        raise Invalid("unknown user type", errors=problems)


def user_types(who: Principal, cursor: str | None, limit: int) -> Listing[UserType]:
    """The tenant's user types."""
    return MemberStore(TenantTable(who.tenant)).user_types(cursor, limit)


def user_type(who: Principal, type_id: str) -> UserType:
    """One user type. Raises NotFound."""
    return MemberStore(TenantTable(who.tenant)).user_type(type_id)


def create_user_type(who: Principal, name: str, description: str) -> UserType:
    """A new user type."""
    made = UserType(new_id("ut"), name, now_ms(), description)
    MemberStore(TenantTable(who.tenant)).add_user_type(made)
    return made


def change_user_type(
    who: Principal, type_id: str, name: str | None, description: str | None, known: int | None
) -> UserType:
    """Change a user type. Raises NotFound, PreconditionFailed."""
    values = {k: v for k, v in (("name", name), ("description", description)) if v is not None}
    return MemberStore(TenantTable(who.tenant)).change_user_type(type_id, values, known)


def remove_user_type(who: Principal, type_id: str, known: int | None) -> None:
    """Remove a user type; users who had it keep the id, which then means nothing. Raises NotFound."""
    MemberStore(TenantTable(who.tenant)).remove_user_type(type_id, known)


def log_in(email: str, password: str, new_password: str | None) -> cognito.Tokens:
    """Tokens for a password; `new_password` replaces a temporary one. Raises BadCredentials, PasswordChangeRequired."""
    return cognito.log_in(email, password, new_password)


def refresh(refresh_token: str) -> cognito.Tokens:
    """New tokens for a refresh token. Raises BadCredentials."""
    return cognito.refresh(refresh_token)
