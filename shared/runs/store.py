"""Runs in the table: the run itself, and the journal's items in its partition."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final

from shared.clock import iso, now_ms
from shared.errors import NotFound
from shared.ids import time_part
from shared.runs.model import OPEN, ChildLink, NodeRecord, Run, RunStatus
from shared.store.keys import Key, journal_prefix, lots_prefix, sweep_shard
from shared.store.table import Attr, Change, ConditionFailed, Item, Page, TenantTable

_JSON: Final = ("trigger", "triggered_by", "final_output", "error", "parent", "budget")
_FIELDS: Final = tuple(f.name for f in fields(Run))
_OF_ONE_ATTEMPT: Final = ("completed_at", "error", "final_output", "working")
FIRST_LOOK_MS: Final = 120_000  # when the sweeper first looks at a run that has not ended
_ID_BEFORE_RUN_MS: Final = 86_400_000
_CLOCKS_MS: Final = 60_000  # by which the clocks of two machines may differ
_LAST_MS: Final = 2**48 - 1  # that a ULID can tell
CHILD_LOOK_MS: Final = 60_000  # when it first looks whether a child's end was told
_is_open: Final = Attr("status").is_in(list(OPEN))


class RunStore:
    """One tenant's runs."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._keys = table.keys

    # --- the run ---------------------------------------------------------------------------------------------------

    def create(self, run: Run) -> bool:
        """Write a new run; False if a run of this id is there already."""
        item = {**_to_item(run), "GSI1PK": self._keys.runs_of(run.workflow_id), "GSI1SK": run.id}
        if not run.ended:
            item |= {"GSI2PK": sweep_shard(run.id), "GSI2SK": iso(now_ms() + FIRST_LOOK_MS)}
        try:
            self._table.create(self._keys.run(run.id), item)
        except ConditionFailed:
            return False
        return True

    def get(self, execution_id: str, *, consistent: bool = True) -> Run:
        """The run. Raises NotFound."""
        run = self.find(execution_id, consistent=consistent)
        if run is None:
            raise NotFound(f"there is no execution {execution_id}")
        return run

    def find(self, execution_id: str, *, consistent: bool = True) -> Run | None:
        """The run, or None."""
        item = self._table.get(self._keys.run(execution_id), consistent=consistent)
        return None if item is None else _from_item(item)

    def page(
        self,
        workflow_id: str,
        *,
        start: dict[str, str] | None,
        limit: int,
        since: int | None = None,
        before: int | None = None,
        **arguments: Any,
    ) -> Page:
        """A page of a workflow's runs, newest first, as items; shape them with `shape`.

        `since` and `before` (ms) leave out what cannot have been created then; what is near them may still be there.
        """
        if since is not None or before is not None:
            # A run's id is made before the run is: moments, or, where somebody tried again, hours.
            first = max(0, (since or 0) - _ID_BEFORE_RUN_MS)
            last = _LAST_MS if before is None else min(_LAST_MS, before + _CLOCKS_MS)
            if first > last:
                return Page([], None)
            arguments |= {"after": f"ex_{time_part(first)}", "up_to": f"ex_{time_part(last)}~"}
        return self._table.query(
            self._keys.runs_of(workflow_id), index="GSI1", forward=False, start=start, limit=limit, **arguments
        )

    @staticmethod
    def shape(item: Item) -> Run:
        """A run from an item of `page`."""
        return _from_item(item)

    def begin(self, execution_id: str, state: str | None = None, attempt: int | None = None) -> Run | None:
        """A call starts working on the run: it is `running`, unless it is to rest. The run, or None if it has ended or
        is in another `attempt` than the call's.

        `state` says for which state of the machine; `leave` takes it back. A call that dies does not: its state's next
        call has the same name.
        """
        change = Change(
            set={"status": "running"},
            first={"started_at": now_ms()},
            remove=["pause_reason"],
            add={"calls": 1} | ({"working": frozenset([state])} if state else {}),
        )
        wanted = Attr("control").not_exists()
        run = self._change(execution_id, change, wanted if attempt is None else wanted & Attr("attempt").eq(attempt))
        if run is None:  # somebody has asked for something
            found = self.get(execution_id)
            if not found.ended and attempt in (None, found.attempt):
                return found if found.control else self.begin(execution_id, state, attempt)
        return run

    def leave(self, execution_id: str, state: str, attempt: int) -> Run | None:
        """The call of this state has done its work. The run, or None if it has ended or is in another attempt."""
        return self._change(execution_id, Change(take={"working": frozenset([state])}), Attr("attempt").eq(attempt))

    def rest(self, execution_id: str, reason: str, *, since: int | None = None, if_asked: bool = False) -> Run | None:
        """The run is `paused` now. None if it has ended, another call has begun since the `since`-th, or (`if_asked`)
        nobody wants it to rest any more.
        """
        condition = Attr("control").eq("pause") if if_asked else None if since is None else Attr("calls").eq(since)
        return self._change(execution_id, Change(set={"status": "paused", "pause_reason": reason}), condition)

    def ask(self, execution_id: str, control: str | None) -> Run | None:
        """Set or clear what the engine is asked to do. None if the run has ended."""
        change = Change(set={"control": control}) if control else Change(remove=["control"])
        return self._change(execution_id, change)

    def close(
        self,
        execution_id: str,
        status: RunStatus,
        *,
        final_output: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
        attempt: int | None = None,
    ) -> Run | None:
        """End the run (if it is in this attempt); the first to do so wins, and later ones get None."""
        values: dict[str, Any] = {"status": status, "completed_at": now_ms()}
        if final_output is not None:
            values["final_output"] = json.dumps(final_output)
        if error is not None:
            values["error"] = json.dumps(error)
        change = Change(set=values, remove=["control", "pause_reason", "GSI2PK", "GSI2SK"])
        return self._change(execution_id, change, None if attempt is None else Attr("attempt").eq(attempt))

    def reopen(self, run: Run) -> Run | None:
        """A failed or cancelled run goes on: the next attempt. None if somebody else was first.

        It goes on with the version, plan, machine, budget and deadline of `run`.
        """
        values = {
            "status": "pending",
            "version": run.version,
            "plan": run.plan,
            "machine": run.machine,
            "attempt": run.attempt + 1,
            "calls_before": run.calls,
            "deadline": run.deadline,
            **({"capped": True} if run.capped else {}),
            **({"budget": json.dumps(run.budget)} if run.budget is not None else {}),
            "GSI2PK": sweep_shard(run.id),
            "GSI2SK": iso(now_ms() + FIRST_LOOK_MS),
        }
        change = Change(set=values, remove=[*_OF_ONE_ATTEMPT, "control", "pause_reason"])
        condition = Attr("status").is_in(["failed", "cancelled"]) & Attr("attempt").eq(run.attempt)
        return self._change(run.id, change, condition, only_open=False)

    def hand_over(self, run: Run) -> Run | None:
        """An open run goes on in a new execution: the next attempt. None if it has ended, or another call was first."""
        values = {
            "attempt": run.attempt + 1,
            "calls_before": run.calls,
            "GSI2SK": iso(now_ms() + FIRST_LOOK_MS),
        }
        change = Change(set=values, remove=["working"])
        return self._change(run.id, change, Attr("attempt").eq(run.attempt))

    def use(self, execution_id: str, tokens: int, nano: int) -> Run | None:
        """Add to what models have used for the run. None if it has ended."""
        return self._change(execution_id, Change(add={"used_tokens": tokens, "used_nano": nano}))

    def look_again(self, execution_id: str, at_ms: int) -> None:
        """When the sweeper should look at the run next."""
        self._change(execution_id, Change(set={"GSI2SK": iso(at_ms)}))

    def delete(self, execution_id: str) -> None:
        """Remove an ended run with its journal and events. Raises NotFound."""
        keys = [
            Key(i["PK"], i["SK"])
            for i in self._table.query_all(self._keys.run(execution_id).pk, attributes=["PK", "SK"])
        ]
        if not keys:
            raise NotFound(f"there is no execution {execution_id}")
        self._table.delete_all(keys)

    def _change(
        self, execution_id: str, change: Change, condition: Any = None, *, only_open: bool = True
    ) -> Run | None:
        wanted = _is_open if only_open else None
        if condition is not None:
            wanted = condition if wanted is None else wanted & condition
        try:
            return _from_item(self._table.update(self._keys.run(execution_id), change, wanted))
        except ConditionFailed:
            return None

    # --- the journal -----------------------------------------------------------------------------------------------

    def journal(self, execution_id: str, prefix: str) -> Iterator[Item]:
        """The journal's items whose sort key starts with `prefix`, in key order."""
        return self._table.query_all(self._keys.run(execution_id).pk, prefix=prefix, consistent=True)

    def put_node(self, execution_id: str, scope: str, node: str, item: Item, condition: Any = None) -> None:
        """Write a node's own item. Raises ConditionFailed, with what stands there."""
        self._table.put(self._node_key(execution_id, scope, node), item, condition)

    def touch_node(self, execution_id: str, scope: str, node: str, change: Change, condition: Any) -> None:
        """Change a node's own item. Raises ConditionFailed."""
        self._table.update(self._node_key(execution_id, scope, node), change, condition)

    def put_packs(self, execution_id: str, packs: Sequence[tuple[str, Item]]) -> None:
        """Write packs of records, `(sort key, item)`."""
        pk = self._keys.run(execution_id).pk
        self._table.put_all([(Key(pk, sk), item) for sk, item in packs])

    def lots(self, execution_id: str, loop: str) -> Iterator[tuple[int, Item]]:
        """The lots of a distributed loop, `(number, item)`."""
        prefix = lots_prefix(loop)
        for item in self._table.query_all(self._keys.run(execution_id).pk, prefix=prefix, consistent=True):
            yield int(item["SK"].removeprefix(prefix)), item

    def put_lot(self, execution_id: str, loop: str, number: int, item: Item, condition: Any = None) -> None:
        """Write a lot. Raises ConditionFailed, with what stands there."""
        self._table.put(Key(self._keys.run(execution_id).pk, f"{lots_prefix(loop)}{number:06}"), item, condition)

    def reset_node(self, execution_id: str, record: NodeRecord, seen: Item) -> None:
        """Make a node be run again, as if an earlier call had put it down — if its item is still the one `seen`.

        A node that has started a child rests again until that one has ended.
        """
        again = NodeRecord(record.node, record.scope, "pending", attempts=record.attempts)
        again.passes, again.state = record.passes, record.state  # an opened container goes on with the pass it is in
        if record.child is not None:
            again = replace(again, status="paused", started_at=record.started_at, child=record.child)
            again.attempts += 1
        body = json.dumps(again.as_dict())
        item = {"status": again.status, "body": body, "owner": "", "lease": 0}
        unchanged = Attr("status").eq(seen["status"]) & Attr("owner").eq(seen["owner"])
        with contextlib.suppress(ConditionFailed):
            self._table.put(self._node_key(execution_id, record.scope, record.node), item, unchanged)

    def put_nodes(self, execution_id: str, records: Sequence[NodeRecord]) -> None:
        """Write nodes' own items in the journal of a run that nobody works on yet."""
        items = []
        for record in records:
            body = json.dumps(record.as_dict(), ensure_ascii=False, separators=(",", ":"))
            item = {"status": record.status, "body": body, "owner": "", "lease": 0}
            items.append((self._node_key(execution_id, record.scope, record.node), item))
        self._table.put_all(items)

    def drop_node(self, execution_id: str, record: NodeRecord, seen: Item) -> None:
        """Forget what is recorded of a node, if its item is still the one `seen`."""
        unchanged = Attr("status").eq(seen["status"]) & Attr("owner").eq(seen["owner"])
        with contextlib.suppress(ConditionFailed):
            self._table.delete(self._node_key(execution_id, record.scope, record.node), unchanged)

    def drop_packs(self, execution_id: str, sort_keys: Sequence[str]) -> None:
        """Forget packs of records: what is in them can be computed again."""
        pk = self._keys.run(execution_id).pk
        self._table.delete_all([Key(pk, sk) for sk in sort_keys])

    def _node_key(self, execution_id: str, scope: str, node: str) -> Key:
        return Key(self._keys.run(execution_id).pk, f"{journal_prefix(scope)}N#{node}")

    # --- parking: where a paused run's state machine waits ---------------------------------------------------------

    def park(self, execution_id: str, state: str, sealed_token: bytes, attempt: int) -> None:
        """Keep the token with which a parked state goes on, unless it was parked in a later attempt of the run."""
        item = {"state": state, "token": sealed_token, "asked_in": attempt}
        with contextlib.suppress(ConditionFailed):  # a late call of an execution that is over
            self._table.put(Key(self._keys.run(execution_id).pk, f"PARK#{state}"), item, not_later(attempt))

    def parked(self, execution_id: str) -> list[tuple[str, bytes]]:
        """Every parked state and its token."""
        items = self._table.query_all(self._keys.run(execution_id).pk, prefix="PARK#", consistent=True)
        return [(i["state"], i["token"]) for i in items]

    def unpark(self, execution_id: str, state: str, sealed_token: bytes) -> None:
        """Forget a token that was used, unless the state has come to rest again and waits with another one."""
        key = Key(self._keys.run(execution_id).pk, f"PARK#{state}")
        with contextlib.suppress(ConditionFailed):
            self._table.delete(key, Attr("token").eq(sealed_token))

    # --- children: runs that this one waits for --------------------------------------------------------------------

    def link(self, execution_id: str, link: ChildLink) -> None:
        """Keep how a run goes on when a child of it has ended. The sweeper looks after it until that is told."""
        kept: Item = {name: getattr(link, name) for name in ChildLink.__slots__ if getattr(link, name) is not None}
        sweep = {"GSI2PK": sweep_shard(link.child), "GSI2SK": iso(now_ms() + CHILD_LOOK_MS)}
        latest = (Attr("attempt").not_exists() | Attr("attempt").lte(link.attempt)) & not_later(link.asked_in)
        with contextlib.suppress(ConditionFailed):  # a late call of an earlier attempt
            self._table.put(self._keys.child_of_run(execution_id, link.child), kept | sweep, latest)

    def linked(self, execution_id: str, child_id: str) -> ChildLink | None:
        """What is kept of a child of this run, or None."""
        item = self._table.get(self._keys.child_of_run(execution_id, child_id), consistent=True)
        return _link(item) if item else None

    def waited_for(self, execution_id: str) -> list[ChildLink]:
        """The children of a run whose end has not been told."""
        every = self._keys.child_of_run(execution_id)
        found = map(_link, self._table.query_all(every.pk, prefix=every.sk, consistent=True))
        return [link for link in found if link.token is not None]

    def told(self, execution_id: str, child_id: str, sealed_token: bytes) -> None:
        """A child's end was told: forget the token, unless the run waits with another one by now."""
        change = Change(remove=["token", "GSI2PK", "GSI2SK"])
        with contextlib.suppress(ConditionFailed):
            key = self._keys.child_of_run(execution_id, child_id)
            self._table.update(key, change, Attr("token").eq(sealed_token))

    def look_at_child(self, execution_id: str, child_id: str, at_ms: int) -> None:
        """When the sweeper should look at the child next."""
        with contextlib.suppress(ConditionFailed):
            key = self._keys.child_of_run(execution_id, child_id)
            self._table.update(key, Change(set={"GSI2SK": iso(at_ms)}), Attr("GSI2SK").exists())

    # --- the answer to the request that started the run ------------------------------------------------------------

    def respond(self, execution_id: str, item: Item) -> bool:
        """Keep the run's answer; False if it has one."""
        try:
            self._table.create(self._keys.response_of_run(execution_id), item)
        except ConditionFailed:
            return False
        return True

    def response(self, execution_id: str) -> Item | None:
        """The run's answer, or None."""
        return self._table.get(self._keys.response_of_run(execution_id), consistent=True)

    # --- events ----------------------------------------------------------------------------------------------------

    def put_event(self, execution_id: str, sequence: str, item: Item) -> None:
        """Write an event under its place in the table's stream. Writing it again changes nothing."""
        self._table.put(Key(self._keys.run(execution_id).pk, f"E#{sequence}"), item)

    def delete_events(self, execution_id: str, before: str) -> None:
        """Remove what was told of a run before this place in the table's stream."""
        found = self._table.query_all(
            self._keys.run(execution_id).pk, prefix="E#", attributes=["PK", "SK"], consistent=True
        )
        self._table.delete_all([Key(i["PK"], i["SK"]) for i in found if i["SK"] < f"E#{before}"])

    def events(self, execution_id: str, after: str, limit: int) -> Page:
        """Events after a sequence number, in order."""
        pk = self._keys.run(execution_id).pk
        if after:
            page = self._table.query(pk, after=f"E#{after}", limit=limit)
            kept = [i for i in page.items if i["SK"].startswith("E#")]
            return Page(kept, page.last if len(kept) == len(page.items) else None)
        return self._table.query(pk, prefix="E#", limit=limit)


def not_later(attempt: int) -> Any:
    """The condition that a token was not kept by a later attempt of the run than this one."""
    return Attr("asked_in").not_exists() | Attr("asked_in").lte(attempt)


def _to_item(run: Run) -> Item:
    item: Item = {}
    for name in _FIELDS:
        value = getattr(run, name)
        if value is not None and value != frozenset():  # DynamoDB knows no empty set
            item[name] = json.dumps(value) if name in _JSON else value
    return item


def _link(item: Item) -> ChildLink:
    return ChildLink(
        item["child"], item["attempt"], item.get("token"), item["at"], item.get("since", 0), item.get("asked_in", 0)
    )


def _from_item(item: Item) -> Run:
    values = {"trigger_node": None, **{name: item[name] for name in _FIELDS if name in item}}  # None is not stored
    return Run(**{name: json.loads(value) if name in _JSON else value for name, value in values.items()})
