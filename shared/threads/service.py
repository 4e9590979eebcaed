"""What the API does with a tenant's threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.clock import now_ms
from shared.errors import PreconditionFailed, Unavailable
from shared.ids import new_id, ulid
from shared.store.pages import Listing
from shared.store.table import TenantTable
from shared.tenancy import Principal
from shared.threads.model import Message, Thread
from shared.threads.store import ThreadStore

_TRIES: Final = 5


def create(who: Principal, thread_id: str | None, title: str, metadata: Mapping[str, str]) -> Thread:
    """A new thread. Raises Conflict (the id is taken), Invalid."""
    now = now_ms()
    made = Thread(thread_id or new_id("th"), title, metadata, 0, 1, now, now)
    _store(who).create(made)
    return made


def listing(who: Principal, cursor: str | None, limit: int) -> Listing[Thread]:
    """The tenant's threads, by id."""
    return _store(who).page(cursor, limit)


def read(who: Principal, thread_id: str) -> Thread:
    """A thread. Raises NotFound."""
    return _store(who).get(thread_id)


def change(who: Principal, thread_id: str, values: Mapping[str, Any], known: int | None) -> Thread:
    """Give a thread another title or metadata. Raises NotFound, PreconditionFailed."""
    store = _store(who)
    for _ in range(_TRIES):
        before = store.get(thread_id)
        _same(before, known)
        if not values:
            return before
        try:
            return store.change(before, values)
        except PreconditionFailed:
            if known is not None:
                raise
    raise Unavailable("others are changing this at the same time; try again")


def remove(who: Principal, thread_id: str, known: int | None) -> None:
    """Remove a thread with its messages. Raises NotFound, PreconditionFailed."""
    store = _store(who)
    found = store.get(thread_id)
    _same(found, known)
    store.remove(found)


def messages(who: Principal, thread_id: str, cursor: str | None, limit: int, *, newest_first: bool) -> Listing[Message]:
    """A thread's messages. Raises NotFound."""
    store = _store(who)
    return store.messages(store.get(thread_id), cursor, limit, newest_first=newest_first)


def message(who: Principal, thread_id: str, number: int) -> Message:
    """One message of a thread. Raises NotFound."""
    store = _store(who)
    return store.message(store.get(thread_id), number)


def remove_message(who: Principal, thread_id: str, number: int) -> None:
    """Remove a message: the thread is as if it had not been said. Raises NotFound, Unavailable."""
    store = _store(who)
    store.remove_message(store.get(thread_id), number)


def add(who: Principal, thread_id: str, role: str, content: Any) -> Message:
    """Say something in a thread that is there. Raises NotFound, Invalid, TooLarge."""
    store = _store(who)
    store.get(thread_id)
    message = {"role": role, "content": content}
    number = store.append(thread_id, [message], key=f"{who.id} {ulid()}")
    return Message(number, message["role"], content, who.id, now_ms())


def _same(thread: Thread, known: int | None) -> None:
    if known is not None and known != thread.version:
        raise PreconditionFailed(f"the thread is at version {thread.version} by now; read it again")


def _store(who: Principal) -> ThreadStore:
    return ThreadStore(TenantTable(who.tenant), who.id)
