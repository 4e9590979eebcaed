"""Links to tasks in the table."""

from __future__ import annotations

from typing import Final

from shared.clock import now_ms
from shared.errors import NotFound, Unavailable
from shared.store.keys import Key
from shared.store.pages import Listing, listing_of
from shared.store.table import Attr, Change, ConditionFailed, Item, TenantTable, Write, stored
from shared.store.turns import step_aside
from shared.task_links.model import TaskLink

_KEPT_S: Final = 90 * 86_400  # after it has expired
_HASHES: Final = 5  # mails of one link that may be on their way
_TRIES: Final = 10
_fresh: Final = Attr("PK").exists() & Attr("used_at").not_exists() & Attr("revoked_at").not_exists()


class TaskLinkStore:
    """One tenant's links to tasks."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._keys = table.keys

    def get(self, link_id: str) -> TaskLink:
        """A link. Raises NotFound."""
        item = self._table.get(self._key(link_id), consistent=True)
        if item is None:
            raise NotFound(f"there is no link {link_id}")
        return link_of(item)

    def of_task(self, task_id: str, cursor: str | None, limit: int) -> Listing[TaskLink]:
        """The links to a task, newest first."""
        pk = self._keys.links_of_task(task_id)
        return listing_of(
            self._table.tenant,
            f"task-links {task_id}",
            cursor,
            limit,
            lambda start, n: self._table.query(pk, index="GSI1", forward=False, start=start, limit=n),
            link_of,
        )

    def add(self, link: TaskLink) -> TaskLink:
        """Write a link; one of this id that is there gets the new secret, unless it was used or revoked already.

        Raises Unavailable.
        """
        try:
            self._table.create(self._key(link.id), self._item(link))
            return link
        except ConditionFailed as taken:
            there = link_of(taken.item or {})
        for attempt in range(_TRIES):
            if there.used_at is not None or there.revoked_at is not None:
                return there
            hashes = [*there.hashes, *link.hashes][-_HASHES:]
            values = {"hashes": hashes, "expires_at": link.expires_at, "ttl": link.expires_at // 1000 + _KEPT_S}
            as_read = _fresh & Attr("hashes").eq(list(there.hashes))
            try:
                return link_of(self._table.update(self._key(link.id), Change(set=values), as_read))
            except ConditionFailed:
                # Used or revoked this moment, or mailed once more: the link in that mail has to work too.
                step_aside(attempt)
                there = self.get(link.id)
        raise Unavailable("many mails with this link are written at this moment; try again")

    def sent(self, link: TaskLink, notice: str) -> None:
        """A notice went out with this link."""
        self._table.update(self._key(link.id), Change(set={"sent": [*link.sent, notice]}), Attr("PK").exists())

    def revoke(self, link_id: str) -> TaskLink:
        """Nobody can use it any more; one that was used stays so. Raises NotFound."""
        try:
            return link_of(self._table.update(self._key(link_id), Change(set={"revoked_at": now_ms()}), _fresh))
        except ConditionFailed:
            return self.get(link_id)

    def use(self, link: TaskLink) -> Write:
        """The write that uses it up; as a part of a transaction it fails if somebody has already."""
        key = self._key(link.id)
        return Write("Update", (key.pk, key.sk), change=Change(set={"used_at": now_ms()}), condition=_fresh)

    def _key(self, link_id: str) -> Key:
        return Key(self._keys.task_links(), link_id)

    def _item(self, link: TaskLink) -> Item:
        index = {"GSI1PK": self._keys.links_of_task(link.task_id), "GSI1SK": link.id}
        return {**stored(link), **index, "ttl": link.expires_at // 1000 + _KEPT_S}


def link_of(item: Item) -> TaskLink:
    """A link from its item."""
    return TaskLink(
        id=item["id"],
        task_id=item["task_id"],
        person=item["person"],
        sent_to=item["sent_to"],
        created_by=item["created_by"],
        created_at=item["created_at"],
        expires_at=item["expires_at"],
        hashes=tuple(item["hashes"]),
        sent=tuple(item["sent"]),
        used_at=item.get("used_at"),
        revoked_at=item.get("revoked_at"),
    )
