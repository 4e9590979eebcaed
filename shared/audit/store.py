"""The audit log in the table: an inbox of entries in no order, and the chain.

An entry goes from the inbox into the chain in one transaction with the chain's head, so it is there once whoever
moves it, how often, and however many at the same time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

from shared.audit.model import Actor, Draft, Entry, Head, genesis
from shared.clock import iso
from shared.ids import ulid
from shared.store.keys import Key, audit_shard
from shared.store.pages import Listing, listing_of
from shared.store.table import Attr, ConditionFailed, Item, TenantTable, Write

_ENTRIES = "N#"
_HEAD = "HEAD"


class AuditStore:
    """One tenant's audit log. Nothing here changes or removes an entry of the chain."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._keys = table.keys

    def append(self, draft: Draft) -> None:
        """Put an entry into the inbox."""
        due = {"GSI2PK": audit_shard(self._table.tenant.id), "GSI2SK": iso(draft.at)}
        item = {"entry": json.dumps(asdict(draft)), **due}
        self._table.put(Key(self._keys.audit_inbox(), ulid()), item)

    def inbox(self, limit: int) -> list[tuple[str, Draft]]:
        """The oldest entries of the inbox, with their keys."""
        page = self._table.query(self._keys.audit_inbox(), limit=limit, consistent=True)
        return [(item["SK"], _draft(json.loads(item["entry"]))) for item in page.items]

    def head(self) -> Head:
        """The end of the chain."""
        item = self._table.get(Key(self._keys.audit(), _HEAD), consistent=True)
        return Head(item["n"], item["hash"]) if item else Head(0, genesis(self._table.tenant))

    def link(self, before: Head, entries: Sequence[Entry], inbox_keys: Sequence[str]) -> bool:
        """Move entries from the inbox to behind `before`: all of it, or False if somebody else was first."""
        pk, last = self._keys.audit(), entries[-1]
        at = Attr("n").eq(before.n) & Attr("hash").eq(before.hash) if before.n else Attr("PK").not_exists()
        new, there = Attr("PK").not_exists(), Attr("PK").exists()
        writes = [Write("Put", (pk, _HEAD), {"n": last.n, "hash": last.hash}, condition=at)]
        writes += [Write("Put", (pk, self._keys.audit_sk(e.n)), _to_item(e), condition=new) for e in entries]
        writes += [Write("Delete", (self._keys.audit_inbox(), sk), condition=there) for sk in inbox_keys]
        try:
            self._table.transact(writes)
        except ConditionFailed:
            return False
        return True

    def get(self, number: int) -> Entry | None:
        """The entry of this number."""
        item = self._table.get(Key(self._keys.audit(), self._keys.audit_sk(number)), consistent=True)
        return _entry(item) if item else None

    def after(self, number: int, limit: int) -> list[Entry]:
        """The entries behind this number, in order: `limit` of them, or all that there are."""
        after = self._keys.audit_sk(number)
        # A page of DynamoDB's has at most a megabyte: that one is short does not mean that nothing follows.
        items = self._table.query_all(self._keys.audit(), after=after, limit=limit, consistent=True)
        return [_entry(item) for item in islice(items, limit)]

    def page(self, cursor: str | None, limit: int, *, listing: str, filters: dict[str, Any]) -> Listing[Entry]:
        """Entries, newest first. `filters`: `actor_id`, `action`, `resource_type`, `resource_id`, `from_ms`, `to_ms`;
        `listing` names them, for the cursor.
        """
        terms = [
            Attr(n).eq(v) for n, v in filters.items() if v is not None and n not in ("from_ms", "to_ms", "actor_id")
        ]
        if filters.get("actor_id") is not None:
            terms.append(Attr("actor_id").eq(filters["actor_id"]) | Attr("user").eq(filters["actor_id"]))
        if filters.get("from_ms") is not None:
            terms.append(Attr("at").gte(filters["from_ms"]))
        if filters.get("to_ms") is not None:
            terms.append(Attr("at").lt(filters["to_ms"]))
        only = None
        for term in terms:
            only = term if only is None else only & term
        return listing_of(
            self._table.tenant,
            listing,
            cursor,
            limit,
            lambda start, n: self._table.query(
                self._keys.audit(), prefix=_ENTRIES, forward=False, start=start, limit=n, condition=only
            ),
            _entry,
        )


def _draft(data: dict[str, Any]) -> Draft:
    return Draft(**{**data, "actor": Actor(**data["actor"])})


def _to_item(entry: Entry) -> Item:
    """The entry, and beside it what lists are filtered by."""
    item = {
        "entry": json.dumps(asdict(entry)),
        "at": entry.at,
        "actor_id": entry.actor.id,
        "user": entry.actor.user,
        "action": entry.action,
        "resource_type": entry.resource_type,
        "resource_id": entry.resource_id,
    }
    return {k: v for k, v in item.items() if v is not None}


def _entry(item: Item) -> Entry:
    data = json.loads(item["entry"])
    return Entry(**{**data, "actor": Actor(**data["actor"])})
