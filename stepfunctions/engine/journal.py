"""The journal of one run: what its nodes have done, recorded before anything builds on it.

A node that touches the world has an item of its own: claimed under a lease before it runs, finished when it has.
Pure nodes are recorded too — people want to see them — but together, in packs that are written when a call ends:
losing one loses nothing that cannot be computed again.

    J#<scope>#N#<node>   {status, body, owner, lease}      body: the record as JSON
    J#<scope>#P#<ulid>   {pack}                            pack: deflated JSON, a list of records
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from typing import Any, Final

from shared.clock import now_ms
from shared.ids import ulid
from shared.runs.model import NodeRecord
from shared.runs.store import RunStore
from shared.store.keys import journal_prefix
from shared.store.table import Attr, Change, ConditionFailed, Item
from stepfunctions.engine.errors import Busy

LEASE_MS: Final = 15_000
RENEW_SECONDS: Final = 5.0
_PACK_BYTES: Final = 300_000  # before compression; DynamoDB's items have at most 400 KB
_RUNNING: Final = Attr("status").eq("running")
_FINAL: Final = ("completed", "failed", "skipped")
_IN_FLIGHT: Final = ("running", "cancelled")  # what was stopped in the middle, too, may have had its effect


class Claim(Enum):
    """What a claim found."""

    NEW = "new"  # never started
    RESUME = "resume"  # put down by an earlier call of its own will
    BROKEN = "broken"  # in flight when an earlier call died


class Journal:
    """One run's journal, for one call. `owner` names the call, `opened` the containers each of whose passes is read by
    itself.
    """

    def __init__(self, store: RunStore, execution_id: str, owner: str, opened: Collection[str] = ()) -> None:
        self._store = store
        self._opened = opened
        self._execution = execution_id
        self._owner = owner
        self._unwritten: list[NodeRecord] = []

    def load(self, prefix: str) -> list[NodeRecord]:
        """Every record whose scope starts as `prefix` says (see `shared.store.keys.journal_prefix`)."""
        return [record for item in self._store.journal(self._execution, prefix) for record in records_of(item)]

    def load_scope(self, scope: str) -> list[NodeRecord]:
        """The records of exactly this scope."""
        return self.load(journal_prefix(scope))

    def load_below(self, scope: str) -> list[NodeRecord]:
        """The records of all iterations below `scope` (`each` gives those of `each/0`, `each/1`, …)."""
        return self.load(f"J#{scope}/")

    def load_all(self) -> list[NodeRecord]:
        """The records of all scopes."""
        return self.load(journal_prefix("")[:2])

    def claim(self, record: NodeRecord) -> Claim | NodeRecord:
        """Take the lease on a node, or give its record if it is done. Raises Busy while another call has it."""
        item = self._item(record, lease=now_ms() + LEASE_MS)
        try:
            self._store.put_node(self._execution, record.scope, record.node, item, Attr("PK").not_exists())
        except ConditionFailed as held:
            found = held.item or {}
            # A call claims a node once: its own claim standing there is this one, whose answer was lost on the way.
            mine = found.get("owner") == self._owner and found["status"] == "running"
            return Claim.NEW if mine else self._take_over(record, found)
        return Claim.NEW

    def _take_over(self, record: NodeRecord, held: Item) -> Claim | NodeRecord:
        if held["status"] in _FINAL:
            return _record(held)
        if held["status"] == "running" and held["lease"] > now_ms():
            raise Busy("a node is in flight in another call")
        # An attempt that was interrupted was one; its record was written before it was counted.
        before = _record(held)
        record.attempts = before.attempts + (held["status"] == "running")
        record.until, record.tries_left = before.until, before.tries_left
        same = Attr("owner").eq(held["owner"]) & Attr("lease").eq(held["lease"])
        try:
            item = self._item(record, lease=now_ms() + LEASE_MS)
            self._store.put_node(self._execution, record.scope, record.node, item, same)
        except ConditionFailed as first:
            if (first.item or {}).get("owner") != self._owner:
                raise Busy("another call was first") from None
        return Claim.BROKEN if held["status"] in _IN_FLIGHT else Claim.RESUME

    def renew(self, record: NodeRecord) -> bool:
        """Keep the lease; False if it was lost."""
        longer = Change(set={"lease": now_ms() + LEASE_MS})
        try:
            self._store.touch_node(self._execution, record.scope, record.node, longer, Attr("owner").eq(self._owner))
        except ConditionFailed:
            return False
        return True

    def finish(self, record: NodeRecord) -> None:
        """Record a result for good; nothing downstream may start before. Raises Busy if the lease was lost."""
        try:
            self._store.put_node(
                self._execution, record.scope, record.node, self._item(record), Attr("owner").eq(self._owner)
            )
        except ConditionFailed:
            raise Busy("the lease was lost") from None

    def put_down(self, record: NodeRecord, *, broken: bool = False) -> None:
        """Give a node back unfinished, for a later call to go on with; `broken`, as it was found, if it was in flight
        when an earlier call died.
        """
        record.status = "running" if broken else "pending"
        self.finish(record)

    def write(self, record: NodeRecord) -> NodeRecord:
        """Write a record that needs no lease (a wait begun or settled, an opened container); gives what stands there.

        That is another one where another call was first: a wait is armed once, and settled once.
        """
        before = ["pending"] if record.status == "paused" else ["pending", "paused"]
        unfinished = Attr("PK").not_exists() | Attr("status").is_in(before) | Attr("passes").exists() & _RUNNING
        try:
            self._store.put_node(self._execution, record.scope, record.node, self._item(record), unfinished)
        except ConditionFailed as held:
            return _record(held.item) if held.item else record
        return record

    def progress(self, record: NodeRecord, passes: int | None) -> None:
        """Write how far an opened container has come; `passes` is what stands. Raises Busy if another was first."""
        stands = Attr("status").is_in(["pending", "running"])
        as_far = Attr("passes").eq(passes) | Attr("passes").eq(record.passes)
        try:
            item = self._item(record) | {"passes": record.passes}
            known = Attr("PK").not_exists() | stands & (as_far | Attr("passes").not_exists())
            self._store.put_node(self._execution, record.scope, record.node, item, known)
        except ConditionFailed:
            raise Busy("another call has gone on with the container") from None

    def lots(self, loop: str) -> dict[int, dict[str, Any]]:
        """The lots of a distributed loop that somebody has begun (see `stepfunctions.engine.lots`)."""
        return {number: json.loads(item["lot"]) for number, item in self._store.lots(self._execution, loop)}

    def begin_lot(self, loop: str, number: int) -> dict[str, Any] | None:
        """Note that a lot is begun. None, or what stands there."""
        try:
            self._store.put_lot(self._execution, loop, number, {"lot": "{}"}, Attr("PK").not_exists())
        except ConditionFailed as held:
            return dict(json.loads((held.item or {"lot": "{}"})["lot"]))
        return None

    def put_lot(self, loop: str, number: int, lot: Mapping[str, Any]) -> None:
        """Keep what came of a lot."""
        self._store.put_lot(self._execution, loop, number, {"lot": json.dumps(lot, ensure_ascii=False)})

    def note(self, record: NodeRecord) -> None:
        """Remember a pure node's or a dead path's record for the next `flush`."""
        self._unwritten.append(record)

    def flush(self, below: str = "") -> None:
        """Write what was noted, as few items as possible; of a container's passes alone, if its path is given."""
        inside = f"{below}/" if below else ""
        noted = [r for r in self._unwritten if r.scope.startswith(inside)]
        self._unwritten = [r for r in self._unwritten if not r.scope.startswith(inside)]
        packs: list[tuple[str, Item]] = []
        for deep in (False, True):
            chosen = [r for r in noted if bool(r.scope) is deep]
            for scope, chunk in self._chunks(chosen):
                text = json.dumps([r.as_dict() for r in chunk], ensure_ascii=False, separators=(",", ":"))
                pack = {"pack": zlib.compress(text.encode(), 1), "deep": deep}
                packs.append((f"{journal_prefix(scope)}P#{ulid()}", pack))
        if packs:
            self._store.put_packs(self._execution, packs)

    def _pack_scope(self, scope: str) -> str:
        """The scope whose packs hold this one's records.

        `""`, a pass of an opened container, or the first other container with an empty iteration: `all/3/each/`.
        """
        parts = scope.split("/") if scope else []
        depth = 0
        while depth < len(parts) and parts[depth] in self._opened:
            depth += 2
        return "/".join([*parts[:depth], *parts[depth : depth + 1], *([""] if depth < len(parts) else [])])

    def _chunks(self, records: list[NodeRecord]) -> Iterator[tuple[str, list[NodeRecord]]]:
        """Records in groups that fit into one item, each group of one scope of packs."""
        by_scope: dict[str, list[NodeRecord]] = {}
        for record in records:
            by_scope.setdefault(self._pack_scope(record.scope), []).append(record)
        for scope, together in by_scope.items():
            chunk: list[NodeRecord] = []
            size = 0
            for record in together:
                weight = len(json.dumps(record.as_dict()))
                if chunk and size + weight > _PACK_BYTES:
                    yield scope, chunk
                    chunk, size = [], 0
                chunk.append(record)
                size += weight
            yield scope, chunk

    def _item(self, record: NodeRecord, lease: int = 0) -> Item:
        body = json.dumps(record.as_dict(), ensure_ascii=False, separators=(",", ":"))
        return {"status": record.status, "body": body, "owner": self._owner, "lease": lease}


def records_of(item: Item) -> list[NodeRecord]:
    """The records in one item of the journal: a node's own, or a pack's."""
    if "pack" in item:
        return [NodeRecord.from_dict(r) for r in json.loads(zlib.decompress(item["pack"]))]
    return [_record(item)]


def _record(item: Item) -> NodeRecord:
    return NodeRecord.from_dict(json.loads(item["body"]))
