"""A distributed loop whose body does not rest: its items in lots, each of which one call works through, in order.

    L#<loop>#<lot>   {results?, so_far?, failures?, failed?: {error, index?, attempt}}

`so_far` has the first results, of a call whose time was over; a failure without `index` is the loop's own.

A lot's results are kept together: gathering a million of them is reading a thousand items of the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from shared.nodes.base import NodeError, Outputs
from shared.runs.model import NodeRecord
from stepfunctions.engine import repeats
from stepfunctions.engine.body import Body
from stepfunctions.engine.errors import Failure, TimeSlice
from stepfunctions.engine.execute import store
from stepfunctions.engine.payloads import Value
from stepfunctions.engine.visit import Visit

MAX_ITEMS: Final = 1_000_000
_MOST_LOTS: Final = 1_000  # that a state can name to a Map: its input has 256 KB
_ROUNDS: Final = 4  # lots for each lane, where there are few items, so that a slow lot does not hold up the rest
_LARGE: Final = 100  # items of a lot, unless there are too many lots


@dataclass(frozen=True, slots=True)
class Lots:
    """The lots of one loop."""

    visit: Visit
    body: Body

    @property
    def _loop(self) -> str:
        frame, node = self.body.frame, self.body.node
        return f"{frame.path}/{node.id}" if frame.path else node.id

    def _size(self, items: int) -> int:
        """How many items a lot has: the same in every call, since it says which items these are."""
        lanes = int(self.body.config["max_concurrency"])
        return max(-(-items // _MOST_LOTS), min(_LARGE, -(-items // (_ROUNDS * lanes))), 1)

    async def left(self) -> tuple[int, ...]:
        """The lots that have no results yet. Raises NodeError when an item has failed and that is not tolerated."""
        items = len(repeats.items_of(self.body, MAX_ITEMS))
        known = await asyncio.to_thread(self.visit.journal.lots, self._loop)
        for number, lot in known.items():
            failed = lot.get("failed")
            if failed is not None and failed["attempt"] == self.body.frame.run.attempt:
                error = failed["error"]
                if "index" not in failed:
                    raise NodeError(error["error"], error["message"], retryable=False)
                failure = Failure(error["node_id"], error["error"], error["message"], error["attempts"])
                raise repeats.item_failed(failure, failed["index"])
            del number
        done = {number for number, lot in known.items() if "results" in lot}
        return tuple(n for n in range(-(-items // self._size(items))) if n not in done)

    async def take_back(self) -> None:
        """Let lots in which items have failed be worked through again: of those items, a retry starts some anew."""
        known = await asyncio.to_thread(self.visit.journal.lots, self._loop)
        for number in (n for n, lot in known.items() if lot.get("failures")):
            await asyncio.to_thread(self.visit.journal.put_lot, self._loop, number, {})

    async def run(self, number: int) -> None:
        """Work through a lot. Raises Failure when an item fails and that is not tolerated, NodeError when the loop
        itself does, and what stops the call. Of both the loop's turn reads.
        """
        try:
            await self._run(number)
        except NodeError as error:
            await self._failed(number, {"error": error.error, "message": error.message})
            raise

    async def _failed(self, number: int, error: Mapping[str, Any], **which: int) -> None:
        failed = {"error": error, "attempt": self.body.frame.run.attempt, **which}
        await asyncio.to_thread(self.visit.journal.put_lot, self._loop, number, {"failed": failed})

    async def _run(self, number: int) -> None:
        journal, loop = self.visit.journal, self._loop
        items = repeats.items_of(self.body, MAX_ITEMS)
        size = self._size(len(items))
        found = await asyncio.to_thread(journal.begin_lot, loop, number)
        if found is not None and "results" in found:
            return
        results, failures = list[Any](), 0
        if found is not None and "so_far" in found:
            so_far = Value(encoded=found["so_far"], objects=self.body.frame.objects)
            results, failures = await asyncio.to_thread(so_far.get), found["failures"]
        indices = range(number * size + len(results), min((number + 1) * size, len(items)))
        before = {} if found is None else await asyncio.to_thread(self._recorded, indices)
        body = replace(self.body, before=before)
        for index in indices:
            try:
                results.append([await body.run(index, {"item": items[index], "index": index})])
            except Failure as failure:
                if body.config["on_item_error"] == "fail":
                    await self._failed(number, failure.as_dict(), index=index)
                    raise
                failures += 1
                results.append([None] if body.config["on_item_error"] == "null" else [])
            except TimeSlice:
                await self._keep(number, "so_far", results, failures)
                raise
        await self._keep(number, "results", results, failures)

    async def _keep(self, number: int, name: str, results: list[Any], failures: int) -> None:
        stored = await asyncio.to_thread(store, Value(results), self.body.frame.objects)
        lot = {name: stored, "failures": failures}
        await asyncio.to_thread(self.visit.journal.put_lot, self._loop, number, lot)

    def _recorded(self, indices: range) -> dict[str, list[NodeRecord]]:
        found: dict[str, list[NodeRecord]] = {}
        for index in indices:
            path = self.body.frame.inside(self.body.node.id, index, {}).path
            for record in (*self.visit.journal.load_scope(path), *self.visit.journal.load_below(path)):
                found.setdefault(record.scope, []).append(record)
        return found

    async def gather(self) -> Outputs:
        """What the loop gives once every lot has its results. Raises NodeError."""
        return await asyncio.to_thread(self._gathered)

    def _gathered(self) -> Outputs:
        results: list[Any] = []
        failures, objects = 0, self.body.frame.objects
        for _, lot in sorted(self.visit.journal.lots(self._loop).items()):
            results += [kept[0] for kept in Value(encoded=lot["results"], objects=objects).get() if kept]
            failures += lot["failures"]
        repeats.check_failures(self.body, failures)
        return {"results": results, "count": len(self.body.inputs["items"])}


async def run_lot(visit: Visit, container: str, number: int) -> None:
    """Work through one lot of a loop in this scope. Raises as `Lots.run` does."""
    body = await visit.body(container)
    try:
        await Lots(visit, body).run(number)
    except NodeError as error:  # of the results: the loop's own, and for the turn to tell
        raise Failure(container, error.error, error.message, 1) from error
