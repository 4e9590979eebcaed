"""Telling users something in the application, and what they see of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from shared.clock import now_ms
from shared.errors import Invalid
from shared.ids import digest, new_id
from shared.members.meant import everyone, resolve
from shared.members.store import MemberStore
from shared.notifications.model import Notification, NotificationKind, Preferences
from shared.notifications.store import NotificationStore
from shared.store.pages import Listing
from shared.store.table import Attr, ConditionFailed, TenantTable
from shared.tenancy import Principal, Tenant

_REMEMBERED_S: Final = 24 * 3600
MOST: Final = 1_000


def tell(tenant: Tenant, to: Sequence[str], title: str, message: str, *, key: str, execution_id: str) -> int:
    """Tell users something: by id, e-mail address, or id or name of their user types; API keys by id; nobody named:
    all users. Gives how many. The same `key` tells nobody twice within a day.

    Raises Invalid (a name that means nobody there could be), Unavailable.
    """
    table = TenantTable(tenant)
    owners = sorted(_meant(MemberStore(table), to))
    if len(owners) > MOST:
        raise Invalid(f"at most {MOST:,} are told something at once; these are {len(owners):,}")
    note = Notification(new_id("nt"), title, message, execution_id, now_ms())
    hand_out(table, owners, note, key=key)
    return len(owners)


def hand_out(table: TenantTable, owners: Sequence[str], note: Notification, *, key: str) -> None:
    """Give a notification to each of these users and keys but those who have muted its kind.

    Under the same `key` it is within a day the same notification, so nobody has it twice. Raises Unavailable.
    """
    told, created_at = _first(table, key, note)
    store = NotificationStore(table)
    for owner in owners:
        if note.kind == "message" or note.kind not in store.preferences(owner).muted:
            store.add(owner, replace(note, id=told, created_at=created_at))


def preferences(who: Principal) -> Preferences:
    """What the caller does not want to be told of."""
    return _store(who).preferences(_owner(who))


def mute(who: Principal, kinds: Sequence[NotificationKind], known: int | None) -> Preferences:
    """The caller does not want to be told of these kinds. Raises PreconditionFailed."""
    return _store(who).mute(_owner(who), tuple(dict.fromkeys(kinds)), known)


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


def _first(table: TenantTable, key: str, note: Notification) -> tuple[str, int]:
    """The id and the moment of what is told under this key: those of the first attempt."""
    now = now_ms()
    free = Attr("PK").not_exists() | Attr("ttl").lte(now // 1000)
    item = {"told": note.id, "at": note.created_at, "ttl": now // 1000 + _REMEMBERED_S}
    try:
        table.put(table.keys.idempotency(digest("notification", key)), item, free)
    except ConditionFailed as taken:
        if taken.item is None:
            raise
        return taken.item["told"], int(taken.item["at"])
    return note.id, note.created_at


def _meant(store: MemberStore, to: Sequence[str]) -> Iterable[str]:
    if not to:
        return [m.id for m in everyone(store)]
    found = resolve(store, to)
    if found.others:
        detail = f"there is no user, user type or API key {found.others[0][:100]!r}"
        raise Invalid(detail, code="unknown_user")
    return found.ids
