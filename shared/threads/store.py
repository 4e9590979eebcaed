"""Threads in the table: each under its id, its messages in a partition of their own, by number.

A message's number is how many were said before it, so what is appended together stands together. One that is removed
leaves a gap: the item's `messages` counts what was ever said, `gone` what of it was removed. A thread that was removed
and made again begins anew: its messages' keys hold when it was made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.clock import now_ms
from shared.errors import Conflict, NotFound, PreconditionFailed, Unavailable
from shared.ids import digest
from shared.store.keys import Key
from shared.store.pages import Listing, listing_of
from shared.store.table import Attr, Change, ConditionFailed, Item, TenantTable, Write
from shared.store.turns import patiently
from shared.threads.messages import bodies, checked_id
from shared.threads.model import Message, Thread

_TRIES: Final = 20


class ThreadStore:
    """One tenant's threads. Nodes see them through `shared.threads.in_run`."""

    def __init__(self, table: TenantTable, source: str = "") -> None:
        self._table = table
        self._keys = table.keys
        self._source = source

    def create(self, thread: Thread) -> None:
        """Write a new thread. Raises Conflict if its id is taken, Invalid for an id that is none."""
        try:
            self._table.create(self._key(thread.id), _item(thread))
        except ConditionFailed:
            raise Conflict(f"the id {thread.id} is taken", code="id_taken") from None

    def get(self, thread_id: str) -> Thread:
        """A thread. Raises NotFound."""
        item = self._find(thread_id)
        if item is None:
            raise NotFound(f"there is no thread {thread_id}")
        return _thread(item)

    def page(self, cursor: str | None, limit: int) -> Listing[Thread]:
        """The threads, by id."""
        pk = self._keys.threads()
        return listing_of(
            self._table.tenant,
            "threads",
            cursor,
            limit,
            lambda start, n: self._table.query(pk, start=start, limit=n),
            _thread,
        )

    def change(self, thread: Thread, values: Mapping[str, Any]) -> Thread:
        """Give a thread that is still at this version another title or metadata.

        Raises NotFound, PreconditionFailed.
        """
        stored = {name: json.dumps(v) if name == "metadata" else v for name, v in values.items()}
        change = Change(set={**stored, "version": thread.version + 1, "updated_at": now_ms()})
        try:
            return _thread(self._table.update(self._key(thread.id), change, Attr("version").eq(thread.version)))
        except ConditionFailed as failed:
            raise _changed(thread, failed) from None

    def remove(self, thread: Thread) -> None:
        """Remove a thread that is still as given, with its messages; if that breaks off, it can be removed again.

        Raises NotFound, PreconditionFailed.
        """
        begun = self.change(thread, {})
        self._clear(begun)
        try:
            self._table.delete(self._key(begun.id), Attr("version").eq(begun.version))
        except ConditionFailed as failed:
            raise _changed(begun, failed) from None
        self._clear(begun)  # of what was said meanwhile

    def _clear(self, thread: Thread) -> None:
        # A thread of this id may have been begun anew meanwhile: what is said in that one stays.
        newer = self._keys.message_sk(thread.created_at + 1)
        left = self._table.query_all(self._keys.thread(thread.id), attributes=["PK", "SK", "born"])
        old = [i for i in left if i.get("born", 0) <= thread.created_at and i["SK"] < newer]
        self._table.delete_all([Key(i["PK"], i["SK"]) for i in old])

    def messages(self, thread: Thread, cursor: str | None, limit: int, *, newest_first: bool) -> Listing[Message]:
        """A thread's messages, in order or from the newest backwards."""
        pk, prefix = self._keys.thread(thread.id), self._keys.message_sk(thread.created_at)
        return listing_of(
            self._table.tenant,
            f"messages {thread.id} {newest_first}",
            cursor,
            limit,
            lambda start, n: self._table.query(pk, prefix=prefix, start=start, limit=n, forward=not newest_first),
            _message,
        )

    def history(self, thread_id: str, limit: int, *, before: int | None = None) -> list[dict[str, Any]]:
        """The last messages as models take them, the oldest of them first; none where there is no such thread.

        `before`: only those before the message of this number. Raises Invalid for an id that is none.
        """
        item = self._find(thread_id)
        if item is None or limit < 1:
            return []
        most = limit + (max(0, item["messages"] - before) if before is not None else 0)
        pk, prefix = self._keys.thread(thread_id), self._keys.message_sk(item["created_at"])
        found: list[Item] = []
        start: dict[str, str] | None = None
        while len(found) < most:
            wanted = most - len(found)
            page = self._table.query(pk, prefix=prefix, start=start, limit=wanted, forward=False, consistent=True)
            found += page.items
            start = page.last
            if start is None:
                break
        said = [_message(i) for i in reversed(found)]
        return [m.as_said() for m in said if before is None or m.number < before][-limit:]

    def message(self, thread: Thread, number: int) -> Message:
        """One message. Raises NotFound."""
        item = self._table.get(self._at(thread, number), consistent=True)
        if item is None:
            raise _no_message(thread, number)
        return _message(item)

    def remove_message(self, thread: Thread, number: int) -> None:
        """Remove a message; those after it keep their numbers. Raises NotFound, Unavailable."""
        change = Change(set={"updated_at": now_ms()}, add={"gone": 1})
        key, same = self._at(thread, number), Attr("created_at").eq(thread.created_at)
        writes = [
            Write("Update", self._place(thread.id), change=change, condition=same),
            Write("Delete", (key.pk, key.sk), condition=Attr("PK").exists()),
        ]
        try:
            patiently(lambda: self._table.transact(writes))  # somebody may be saying something
        except ConditionFailed:
            raise _no_message(thread, number) from None

    def _at(self, thread: Thread, number: int) -> Key:
        return Key(self._keys.thread(thread.id), self._keys.message_sk(thread.created_at, number))

    def appended(self, thread_id: str, key: str) -> int | None:
        """The number of the first message that was added under this key; None if none was. Raises Invalid."""
        item, mark = self._find(thread_id), Key(self._keys.thread(thread_id), self._keys.append_sk(_mark(key)))
        done = self._table.get(mark, consistent=True) if item else None
        return int(done["number"]) if item and done and done["born"] == item["created_at"] else None

    def append(self, thread_id: str, said: Sequence[Mapping[str, Any]], *, key: str) -> int:
        """Add messages `{role, content}` at the end, together or not at all; gives the number of the first.

        A thread that is not there is made. The same `key` adds nothing twice to a thread. Raises Invalid, TooLarge,
        Unavailable.
        """
        added = bodies(said)
        mark = (self._keys.thread(thread_id), self._keys.append_sk(_mark(key)))
        for _ in range(_TRIES):
            now, item = now_ms(), self._find(thread_id)
            born, count = (item["created_at"], item["messages"]) if item else (now, 0)
            done = self._table.get(Key(*mark), consistent=True) if item else None
            if done is not None and done["born"] == born:
                return int(done["number"])
            if item is None:
                fresh = Thread(thread_id, "", {}, len(added), 1, now, now)
                own = Write("Put", self._place(thread_id), _item(fresh), condition=Attr("PK").not_exists())
            else:
                change = Change(set={"updated_at": now, "messages": count + len(added)})
                same = Attr("messages").eq(count) & Attr("created_at").eq(born)
                own = Write("Update", self._place(thread_id), change=change, condition=same)
            unmarked = Attr("PK").not_exists() | Attr("born").ne(born)
            writes = [own, Write("Put", mark, {"born": born, "number": count}, condition=unmarked)]
            for number, body in enumerate(added, count):
                place = (self._keys.thread(thread_id), self._keys.message_sk(born, number))
                values = {**body, "number": number, "source": self._source, "created_at": now}
                writes.append(Write("Put", place, values))
            try:
                self._table.transact(writes)
            except ConditionFailed:
                continue  # somebody else has said something, or this was done already
            return count
        raise Unavailable("many write to this thread at the same time; try again")

    def _find(self, thread_id: str) -> Item | None:
        return self._table.get(self._key(thread_id), consistent=True)

    def _key(self, thread_id: str) -> Key:
        return Key(self._keys.threads(), checked_id(thread_id))

    def _place(self, thread_id: str) -> tuple[str, str]:
        key = self._key(thread_id)
        return key.pk, key.sk


def _mark(key: str) -> str:
    return digest("append", key)


def _no_message(thread: Thread, number: int) -> NotFound:
    return NotFound(f"the thread {thread.id} has no message {number}", code="no_message")


def _changed(thread: Thread, failed: ConditionFailed) -> NotFound | PreconditionFailed:
    if failed.item is None:
        return NotFound(f"there is no thread {thread.id}")
    return PreconditionFailed(f"the thread is at version {failed.item['version']} by now; read it again")


def _item(thread: Thread) -> Item:
    return {
        "title": thread.title,
        "metadata": json.dumps(dict(thread.metadata), ensure_ascii=False),
        "messages": thread.messages,
        "version": thread.version,
        "created_at": thread.created_at,
        "updated_at": thread.updated_at,
    }


def _thread(item: Item) -> Thread:
    return Thread(
        id=item["SK"],
        title=item["title"],
        metadata=json.loads(item["metadata"]),
        messages=item["messages"] - item.get("gone", 0),
        version=item["version"],
        created_at=item["created_at"],
        updated_at=item["updated_at"],
    )


def _message(item: Item) -> Message:
    content = json.loads(item["content"])
    return Message(item["number"], item["role"], content, item["source"], item["created_at"])
