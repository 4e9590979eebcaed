"""Writing the audit log, reading it, and proving that nobody has changed it.

A request puts its entry into the inbox, which is one write. The sweeper chains what lies there, every minute,
and so does whoever reads the log.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from shared.audit.model import Draft, Entry, Head, chained, genesis, hash_of
from shared.audit.store import AuditStore
from shared.clock import iso, now_ms
from shared.errors import Contended, NotFound
from shared.log import logger
from shared.side_by_side import in_turn, side_by_side
from shared.store.keys import AUDIT_SHARDS, audit_shards
from shared.store.pages import Listing
from shared.store.table import Directory, TenantTable
from shared.store.turns import step_aside
from shared.tenancy import Principal, Tenant, from_record_key

_TRIES: Final = 3
_AT_ONCE: Final = 40  # a transaction takes a hundred writes; each entry is two
_ROUNDS: Final = 25
_LOOKED_AT: Final = 1_000  # entries of a shard that a sweep hears of at once
_TENANTS: Final = 3  # whose entries are chained at the same time
_RESERVE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Where the chain is broken: the number of the entry, and what is wrong with it."""

    n: int
    what: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look at a part of the chain found: so many entries up to `up_to`; None as `next_after`: that was all."""

    ok: bool
    checked: int
    up_to: int
    next_after: int | None
    head: Head
    fault: Fault | None


def append(tenant: Tenant, draft: Draft) -> None:
    """Put down what was done. It is done already, so this raises nothing: what cannot be written goes to the log."""
    for attempt in range(_TRIES):
        try:
            AuditStore(TenantTable(tenant)).append(draft)
            return
        except Exception as error:  # whatever it is: what was done is done, and is answered as done
            if attempt == _TRIES - 1:
                facts: dict[str, Any] = {"action": draft.action, "resource_id": draft.resource_id}
                facts["actor_id"] = draft.actor.id
                logger("audit").error(
                    "entry_lost", tenant_id=tenant.id, error=type(error).__name__, at=draft.at, **facts
                )
                return
            step_aside(attempt)


def chain(tenant: Tenant) -> int:
    """Chain what lies in the inbox; gives how many entries. Doing it again, or at the same time, changes nothing.

    Raises Unavailable.
    """
    store, done = AuditStore(TenantTable(tenant)), 0
    for attempt in range(_ROUNDS):
        waiting = store.inbox(_AT_ONCE)
        if not waiting:
            return done
        before = store.head()
        entries, last = [], before
        for _key, draft in waiting:
            entry = chained(draft, last)
            entries.append(entry)
            last = Head(entry.n, entry.hash)
        try:
            if store.link(before, entries, [key for key, _ in waiting]):
                done += len(entries)
                if len(waiting) < _AT_ONCE:  # what came since is found by the next who looks
                    return done
        except Contended:  # another transaction is at it
            step_aside(attempt)
    return done


def chain_due(remaining: Callable[[], float]) -> None:
    """Chain what lies in all inboxes, for as long as more than some seconds remain. What fails is looked at again.

    Nobody waits until one who has done a lot is through: each tenant has some entries chained before one has more.
    """
    more: list[Tenant] = []

    def time_remains() -> bool:
        return remaining() >= _RESERVE_S

    def some(tenant: Tenant) -> None:
        try:
            if time_remains() and chain(tenant) >= _AT_ONCE * _ROUNDS:
                more.append(tenant)
        except Exception as error:  # one tenant's trouble is not the others'
            logger("audit").error("not_chained", tenant_id=tenant.id, error=type(error).__name__)

    side_by_side(_with_entries(time_remains), some, _TENANTS)
    while more:
        again, more = more, []
        side_by_side(again, some, _TENANTS)


def _with_entries(time_remains: Callable[[], bool]) -> Iterator[Tenant]:
    """The tenants in whose inboxes something lies, each once: of all shards in turn, in an order that changes."""
    now, seen = iso(now_ms()), set[str]()

    def of(shard: str) -> Iterator[str]:
        for entries in Directory().due(shard, now, _LOOKED_AT):
            yield from (pk for pk in dict.fromkeys(entry["PK"] for entry in entries) if pk not in seen)
            if not time_remains():
                return

    for pk in in_turn(of(shard) for shard in random.sample(audit_shards(), AUDIT_SHARDS)):
        seen.add(pk)
        tenant = from_record_key(pk)
        if tenant is not None:
            yield tenant


def listing(who: Principal, cursor: str | None, limit: int, **filters: Any) -> Listing[Entry]:
    """Entries, newest first: `actor_id` (also the user behind a key or link), `action`, `resource_type`, `resource_id`,
    and `from_ms` (inclusive) to `to_ms` (exclusive). Raises BadRequest, Unavailable.
    """
    if cursor is None:
        chain(who.tenant)
    name = "\n".join(["audit-log", *(f"{k}={v}" for k, v in sorted(filters.items()))])
    return AuditStore(TenantTable(who.tenant)).page(cursor, limit, listing=name, filters=filters)


def verify(who: Principal, after: int, limit: int) -> Verified:
    """Check `limit` entries behind the number `after`: their numbers, their hashes and what they stand on; at the end
    of the chain, that it is the end. Raises NotFound for a number that the chain does not have, Unavailable.
    """
    chain(who.tenant)
    store = AuditStore(TenantTable(who.tenant))
    head = store.head()
    before = store.get(after) if after else None
    if after and before is None:
        raise NotFound(f"the audit log has no entry {after}")
    last = Head(before.n, before.hash) if before else Head(0, genesis(who.tenant))
    found = [e for e in store.after(after, limit) if e.n <= head.n]  # what came since is not looked at
    for number, entry in enumerate(found):
        if fault := _fault(last, entry):
            return Verified(False, number, last.n, None, head, fault)
        last = Head(entry.n, entry.hash)
    at_end = len(found) < limit or last.n >= head.n
    fault = Fault(last.n + 1, "missing at the end of the chain") if at_end and last != head else None
    return Verified(fault is None, len(found), last.n, None if at_end else last.n, head, fault)


def _fault(before: Head, entry: Entry) -> Fault | None:
    if entry.n != before.n + 1:
        return Fault(before.n + 1, "missing")
    if entry.prev_hash != before.hash:
        return Fault(entry.n, "does not stand on the entry before it")
    return None if entry.hash == hash_of(entry) else Fault(entry.n, "was changed")
