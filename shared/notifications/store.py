"""Notifications in the table: a partition for each user or API key, kept for three months."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Final

from shared.clock import now_ms
from shared.errors import NotFound, PreconditionFailed
from shared.notifications.model import Notification, NotificationKind, Preferences
from shared.store.keys import Key
from shared.store.pages import Listing, listing_of
from shared.store.table import Attr, Change, ConditionFailed, Item, TenantTable

_KEEP_S: Final = 90 * 86_400


class NotificationStore:
    """What one tenant's users were told."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table

    def add(self, owner_id: str, notification: Notification) -> None:
        """Tell a user something; one of this id that is there stays as it is."""
        item: Item = {name: value for name, value in asdict(notification).items() if value is not None}
        item["ttl"] = notification.created_at // 1000 + _KEEP_S
        with suppress(ConditionFailed):
            self._table.create(self._key(owner_id, notification.id), item)

    def page(self, owner_id: str, cursor: str | None, limit: int, *, unread: bool) -> Listing[Notification]:
        """What a user was told, newest first; `unread`: only what they have not read."""
        only = Attr("read_at").not_exists() if unread else None
        pk = self._table.keys.notifications(owner_id)
        return listing_of(
            self._table.tenant,
            f"notifications {owner_id} {unread}",
            cursor,
            limit,
            lambda start, n: self._table.query(pk, start=start, limit=n, condition=only, forward=False),
            _notification,
        )

    def read(self, owner_id: str, notification_id: str) -> Notification:
        """A user has read it; the first time counts. Raises NotFound."""
        change = Change(first={"read_at": now_ms()})
        try:
            return _notification(self._table.update(self._key(owner_id, notification_id), change, Attr("PK").exists()))
        except ConditionFailed:
            raise NotFound(f"there is no notification {notification_id}") from None

    def preferences(self, owner_id: str) -> Preferences:
        """What a user does not want to be told of."""
        return _preferences(self._table.get(self._table.keys.notification_settings(owner_id), consistent=True))

    def mute(self, owner_id: str, kinds: Sequence[NotificationKind], known: int | None) -> Preferences:
        """A user does not want to be told of these kinds, and of no others. Raises PreconditionFailed."""
        condition = None
        if known is not None:
            before = self.preferences(owner_id).version
            if known != before:
                raise _changed(before)
            condition = Attr("version").eq(before) if before else Attr("version").not_exists()
        change = Change(set={"muted": list(kinds)}, add={"version": 1})
        try:
            at = self._table.keys.notification_settings(owner_id)
            return _preferences(self._table.update(at, change, condition))
        except ConditionFailed as failed:
            raise _changed(_preferences(failed.item).version) from None

    def _key(self, owner_id: str, notification_id: str) -> Key:
        return Key(self._table.keys.notifications(owner_id), notification_id)


def _preferences(item: Item | None) -> Preferences:
    found = item or {}
    return Preferences(tuple(found.get("muted", ())), int(found.get("version", 0)))


def _changed(version: int) -> PreconditionFailed:
    return PreconditionFailed(f"the preferences are at version {version} by now; read them again")


def _notification(item: Item) -> Notification:
    return Notification(
        id=item["id"],
        title=item["title"],
        message=item["message"],
        execution_id=item["execution_id"],
        created_at=int(item["created_at"]),
        read_at=int(item["read_at"]) if "read_at" in item else None,
        kind=item.get("kind", "message"),
        task_id=item.get("task_id"),
    )
