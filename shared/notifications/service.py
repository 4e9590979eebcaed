"""Telling users something in the application, and what they see of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from shared.aws.reach import reaching
from shared.clock import now_ms
from shared.errors import Invalid, NotFound
from shared.ids import digest, new_id
from shared.members.model import Member
from shared.members.store import MemberStore
from shared.notifications.model import Notification
from shared.notifications.store import NotificationStore
from shared.store.pages import MAX_LIMIT, Listing
from shared.store.table import Attr, ConditionFailed, TenantTable
from shared.tenancy import Principal, Tenant

_REMEMBERED_S: Final = 24 * 3600
_MOST: Final = 1_000


def tell(tenant: Tenant, to: Sequence[str], title: str, message: str, *, key: str, execution_id: str) -> int:
    """Tell users something: by id, e-mail address, or id or name of their user types; API keys by id; nobody named:
    all users. Gives how many. The same `key` tells nobody twice within a day.

    Raises Invalid (a name that means nobody there could be), Unavailable.
    """
    table = TenantTable(tenant)
    with reaching("the table"):
        owners = sorted(_meant(MemberStore(table), to))
        if len(owners) > _MOST:
            raise Invalid(f"at most {_MOST:,} are told something at once; these are {len(owners):,}")
        told, created_at = _first(table, key)
        store = NotificationStore(table)
        for owner in owners:
            store.add(owner, Notification(told, title, message, execution_id, created_at))
    return len(owners)


def listing(who: Principal, cursor: str | None, limit: int, *, unread: bool) -> Listing[Notification]:
    """What the caller was told, newest first."""
    return _store(who).page(_owner(who), cursor, limit, unread=unread)


def read(who: Principal, notification_id: str) -> Notification:
    """The caller has read it. Raises NotFound."""
    return _store(who).read(_owner(who), notification_id)


def _owner(who: Principal) -> str:
    return who.user_id or who.id


def _store(who: Principal) -> NotificationStore:
    return NotificationStore(TenantTable(who.tenant))


def _first(table: TenantTable, key: str) -> tuple[str, int]:
    """The id and the moment of what is told under this key: those of the first attempt."""
    made, now = new_id("nt"), now_ms()
    free = Attr("PK").not_exists() | Attr("ttl").lte(now // 1000)
    item = {"told": made, "at": now, "ttl": now // 1000 + _REMEMBERED_S}
    try:
        table.put(table.keys.idempotency(digest("notification", key)), item, free)
    except ConditionFailed as taken:
        if taken.item is None:
            raise
        return taken.item["told"], int(taken.item["at"])
    return made, now


def _meant(store: MemberStore, to: Sequence[str]) -> Iterator[str]:
    members = list(_members(store))
    if not to:
        yield from (m.id for m in members)
        return
    types = {}
    for each in _user_types(store):
        types[each[0].casefold()] = types[each[1].casefold()] = each[0]
    found: set[str] = set()
    for name in to:
        known = name.casefold()
        hits = {m.id for m in members if known in (m.id.casefold(), m.email.casefold())}
        hits |= {m.id for m in members if types.get(known) in m.user_types}
        if not hits and known not in types:
            hits = {_key_id(store, name)}
        found |= hits
    yield from found


def _key_id(store: MemberStore, name: str) -> str:
    try:
        return store.api_key(name).id
    except NotFound:
        raise Invalid(f"there is no user, user type or API key {name[:100]!r}", code="unknown_user") from None


def _members(store: MemberStore) -> Iterator[Member]:
    cursor: str | None = None
    while True:
        page = store.members(cursor, MAX_LIMIT)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def _user_types(store: MemberStore) -> Iterator[tuple[str, str]]:
    cursor: str | None = None
    while True:
        page = store.user_types(cursor, MAX_LIMIT)
        yield from ((t.id, t.name) for t in page.items)
        cursor = page.next_cursor
        if cursor is None:
            return
