"""Containers whose passes the state machine runs, since something in them rests: what a turn decides.

A turn brings the pass that is over to its end, and says which comes next. Passes are recorded as any other node's
scope is, so a turn that is made again, or in a new execution, finds what there is. Once all passes are over, what the
container gives is what the same container gives that runs within one call, over the same journal.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from shared.clock import now_ms
from shared.nodes.base import Call, NodeError, Outputs
from shared.runs.model import NodeRecord
from stepfunctions.engine import repeats
from stepfunctions.engine.body import Body
from stepfunctions.engine.containers import recorded
from stepfunctions.engine.dataflow import load
from stepfunctions.engine.errors import Failure
from stepfunctions.engine.execute import Skipped, complete, fail, prepare, skip, store
from stepfunctions.engine.frame import failure_of
from stepfunctions.engine.lots import Lots
from stepfunctions.engine.payloads import Value
from stepfunctions.engine.visit import Visit
from stepfunctions.plan import Turning

_AT_ONCE: Final = 500  # passes of one Map: a state's input has 256 KB
_CALLS: Final = 2_300  # that a history of 25,000 events has room for, at ten events a call


@dataclass(frozen=True, slots=True)
class Decided:
    """The numbers of the passes to come, none when the container is settled; `moments` of the lead's timers."""

    numbers: tuple[int, ...] = ()
    moments: tuple[str, ...] = ()


class Passes:
    """The passes of one container, for one turn. `broken`: an execution of a distributed one's passes has failed."""

    def __init__(self, visit: Visit, turning: Turning, *, broken: bool) -> None:
        self._broken = broken
        self._anew = False  # whether a retry of the run has taken the container's failure back
        self._visit = visit
        self._frame = visit.frame
        self._turning = turning
        self._node = visit.frame.plan.nodes[turning.node]

    async def next(self, over: int | None) -> Decided:
        """Decide; `over` is the pass that has come to its end just now.

        The container's own failure is raised as Failure. Raises what stops the call.
        """
        outcome = self._frame.outcomes.get(self._node.id)
        if outcome is not None and outcome.settled:
            return Decided()
        fresh = NodeRecord(self._node.id, self._frame.path, "pending")
        record = fresh if outcome is None else outcome.record
        self._anew = outcome is not None and record.status == "pending"
        if record.status == "pending":
            record.started_at, record.attempts = now_ms(), record.attempts + 1
        record.status = "running"
        await load(self._frame, self._node)
        try:
            world = self._visit.flow.new_world()
            call = prepare(self._frame, self._node, record, world)
            instead = world.instead(self._node.id, call)
            decided = await self._decide(call, record, over) if instead is None else instead
            if isinstance(decided, Decided):
                return decided
            complete(self._frame, self._node, record, decided)
        except Skipped:
            skip(self._frame, record)
        except NodeError as error:
            await self._failed(record, error)
        await asyncio.to_thread(self._visit.journal.write, record)
        return Decided()

    async def _failed(self, record: NodeRecord, error: NodeError) -> None:
        try:
            fail(self._frame, self._node, record, error)
        except Failure:
            await asyncio.to_thread(self._visit.journal.write, record)
            raise

    async def _decide(self, call: Call, record: NodeRecord, over: int | None) -> Decided | Outputs:
        body = Body(self._visit.flow, self._frame, self._node, call, {})
        if self._turning.lots:
            return await self._in_lots(Lots(self._visit, body), record)
        if self._turning.lanes > 1 or self._turning.apart:
            return await self._side_by_side(body, record)
        row = _ROWS[repeats.repeats_of(self._node)](self._visit, body, record, anew=self._anew)
        # A turn that is made again, or late, finds the pass over for long: the state is not that one's any more.
        number = over if over == record.passes else None
        failure: Failure | None = None
        while True:
            if number is None:
                following = await row.begin()
            else:
                result = None
                try:
                    result = await self._finish(body, number) if failure is None else None
                except Failure as failed:
                    failure = failed
                if failure is None:
                    following = await row.after(number, result)
                else:
                    path = self._path(number)
                    journal = self._visit.journal
                    await self._abandon([*journal.load_scope(path), *journal.load_below(path)])
                    following = await row.after_failure(number, failure)
            if not isinstance(following, int):
                return following
            await self._progress(record, following)
            try:
                return Decided((following,), tuple(await self._lead(following)))
            except Failure as failed:
                number, failure = following, failed

    def _path(self, number: int) -> str:
        return self._frame.inside(self._node.id, number, {}).path

    async def _abandon(self, records: Iterable[NodeRecord]) -> None:
        """Nobody waits any more for what these records wait for: their questions are closed, their children ended."""
        for record in records:
            if record.status == "paused" and record.task:
                if await asyncio.to_thread(self._visit.desk.settle, record.task) is None:
                    record.status, record.task = "pending", None  # a retry of the run asks anew
                    await asyncio.to_thread(self._visit.journal.write, record)
            elif record.status == "paused" and record.child:
                await asyncio.to_thread(self._visit.desk.ended, record.child)

    def _check_broken(self) -> None:
        """There is nothing to go on with where an execution of the passes' own failed, and no pass of them has."""
        if self._broken:
            raise RuntimeError("an execution of a distributed loop failed, and no item of it has")

    async def _progress(self, record: NodeRecord, number: int) -> None:
        before, record.passes = record.passes, number
        await asyncio.to_thread(self._visit.journal.progress, record, before)
        self._frame.adopt(record)

    async def _lead(self, number: int) -> list[str]:
        if self._turning.lead is None:
            return []
        inner = await self._visit.inside(self._node.id, number)
        await inner.recorded()
        return await inner.segment(self._frame.plan.segments[self._turning.lead])

    async def _finish(self, body: Body, number: int) -> Any:
        """What a pass gives, brought to its end: waits that nothing came after, and the body's last nodes."""
        inner = await self._visit.inside(self._node.id, number)
        await inner.again(await inner.recorded())
        await inner.advance(self._frame.plan.members[self._node.id])
        return body.result(inner.frame)

    async def _side_by_side(self, body: Body, record: NodeRecord) -> Decided | Outputs:
        items = repeats.items_of(body, repeats.MAX_ITEMS)
        before = await recorded(self._visit.flow, self._frame, self._node)
        left, tolerant = list[int](), body.config["on_item_error"] != "fail"
        for number in range(len(items)):
            known = before.get(self._path(number), [])
            failed = _failed(known)
            if failed is not None and self._anew and self._frame.plan.nodes[failed.node].pure:
                left.append(number)  # a retry takes back what has an item of its own; this is computed again
            elif failed is None and not _is_over(body, known):
                left.append(number)
            elif failed is not None and not tolerant:
                await self._abandon(r for records in before.values() for r in records)
                raise repeats.item_failed(failure_of(failed), number)
            elif failed is not None:
                below = f"{self._path(number)}/"
                await self._abandon(known)
                for scope in (s for s in before if s.startswith(below)):
                    await self._abandon(before[scope])
        if not left:
            return await repeats.each(_over(body, before))
        self._check_broken()
        await self._progress(record, left[0])
        return Decided(tuple(left[: self._at_once()]))

    def _at_once(self) -> int:
        """How many passes a Map has at most: its history has to have room for what is called in them."""
        if self._turning.apart:
            return _AT_ONCE
        plan, run = self._frame.plan, self._frame.run
        inside = {n for n in plan.opened if self._node.id in plan.around(n)}
        places = [s.scope for s in plan.segments]
        places += [plan.nodes[n].scope for n in (*(q.node for q in plan.questions), *(t.node for t in plan.turns))]
        calls = sum(place in inside for place in places)
        for turning in plan.turns:  # the same goes on beside this, in other passes
            if turning.node in plan.around(self._node.scope) and not turning.apart:
                calls *= turning.lanes
        left = _CALLS - (run.calls - run.calls_before)
        return max(min(_AT_ONCE, left // max(calls, 1)), 1)

    async def _in_lots(self, lots: Lots, record: NodeRecord) -> Decided | Outputs:
        if self._anew:
            await lots.take_back()
        left = await lots.left()
        if not left:
            return await lots.gather()
        self._check_broken()
        await self._progress(record, left[0])
        return Decided(left)


class _Row(ABC):
    """How a container goes from one pass to the next, one at a time: the number of the next, or its outputs.

    `anew`: a retry of the run has taken its failure back. Raises NodeError for the container's failure, and what stops
    the call.
    """

    def __init__(self, visit: Visit, body: Body, record: NodeRecord, *, anew: bool) -> None:
        self.visit = visit
        self.body = body
        self.record = record
        self.anew = anew

    @abstractmethod
    async def begin(self) -> int | Outputs:
        """At first, or in a new execution: with the pass that an earlier one was in."""

    @abstractmethod
    async def after(self, number: int, result: Any) -> int | Outputs:
        """After a pass that gave a result."""

    @abstractmethod
    async def after_failure(self, number: int, failure: Failure) -> int | Outputs:
        """After a pass in which a node failed."""


class _Each(_Row):
    async def begin(self) -> int | Outputs:
        if not self.anew:
            return await self._at(self.record.passes or 0)
        # Failures that were too many are taken back with the loop's own, and lie anywhere.
        before = await recorded(self.body.flow, self.body.frame, self.body.node)
        every = range(len(repeats.items_of(self.body, repeats.MAX_ITEMS)))
        done = (self._is_done(before.get(self._path(number), ())) for number in every)
        return await self._at(next((number for number, over in zip(every, done, strict=True) if not over), len(every)))

    async def after(self, number: int, result: Any) -> int | Outputs:
        del result  # it is in the journal
        return await self._at(number + 1)

    async def after_failure(self, number: int, failure: Failure) -> int | Outputs:
        if self.body.config["on_item_error"] == "fail":
            raise repeats.item_failed(failure, number) from failure
        return await self._at(number + 1)

    async def _at(self, number: int) -> int | Outputs:
        body, items = self.body, len(repeats.items_of(self.body, repeats.MAX_ITEMS))
        if body.frame.run.attempt:  # an earlier attempt may have done what comes next
            while number < items and self._is_done(await self._known(number)):
                number += 1
        if number < items:
            return number
        return await repeats.each(_over(body, await recorded(body.flow, body.frame, body.node)))

    async def _known(self, number: int) -> Sequence[NodeRecord]:
        return await asyncio.to_thread(self.visit.journal.load_scope, self._path(number))

    def _path(self, number: int) -> str:
        return self.body.frame.inside(self.body.node.id, number, {}).path

    def _is_done(self, known: Sequence[NodeRecord]) -> bool:
        return _failed(known) is None and _is_over(self.body, known)


class _While(_Row):
    async def begin(self) -> int | Outputs:
        stored = self.record.state
        value = Value(encoded=stored, objects=self.visit.frame.objects) if stored else None
        state = repeats.first_state(self.body) if value is None else await asyncio.to_thread(value.get)
        return self._at(self.record.passes or 0, state)

    async def after(self, number: int, result: Any) -> int | Outputs:
        stored = await asyncio.to_thread(store, Value(result), self.visit.frame.objects)
        following = self._at(number + 1, result)
        self.record.state = stored  # with the number of the pass, or not at all
        return following

    async def after_failure(self, number: int, failure: Failure) -> int | Outputs:
        raise repeats.pass_failed(failure, number) from failure

    def _at(self, number: int, state: Any) -> int | Outputs:
        return number if repeats.goes_on(self.body, state, number) else repeats.last_state(self.body, state, number)


class _Again(_Row):
    async def begin(self) -> int | Outputs:
        """With the first pass that has not failed: a retry of the run has taken back the failures."""
        body = self.body
        before = await recorded(body.flow, body.frame, body.node)
        known = replace(body, before=before)
        number = 0
        while number < int(body.config["max_retries"]):
            failed = _failed(before.get(body.frame.inside(body.node.id, number, {}).path, ()))
            if failed is None:
                break
            await repeats.before_again(known, number, failure_of(failed))
            number += 1
        return number

    async def after(self, number: int, result: Any) -> int | Outputs:
        del number
        return {"output": result}

    async def after_failure(self, number: int, failure: Failure) -> int | Outputs:
        body = self.body
        before = await recorded(body.flow, body.frame, body.node)
        await repeats.before_again(replace(body, before=before), number, failure)
        return number + 1


_ROWS: Final[Mapping[str, type[_Row]]] = {
    "each": _Each,
    "while": _While,
    "again": _Again,
}


class _Over(Body):
    """A body whose passes are all over. One that failed has failed, however far the rest of it had come."""

    async def run(self, number: int, local: Mapping[str, Any]) -> Any:
        failed = _failed(self.before.get(self.frame.inside(self.node.id, number, {}).path, ()))
        if failed is not None:
            raise failure_of(failed)
        return await super().run(number, local)


def _over(body: Body, before: Mapping[str, list[NodeRecord]]) -> Body:
    return _Over(body.flow, body.frame, body.node, body.call, before)


def _is_over(body: Body, known: Iterable[NodeRecord]) -> bool:
    settled = {r.node for r in known if r.status in ("completed", "skipped", "failed")}
    return settled >= set(body.members)


def _failed(records: Iterable[NodeRecord]) -> NodeRecord | None:
    """The node with which a pass failed, or None. Of a node's records the last one is right."""
    latest = {r.node: r for r in records}
    return next((r for r in latest.values() if r.status == "failed" and not r.handled), None)
