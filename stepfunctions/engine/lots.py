"""A distributed loop whose body does not rest: its items in lots, each of which one call works through, in order.

    L#<loop>#<lot>   {results?, failures?, failed?: {error, attempt}}

A lot's results are kept together: gathering a million of them is reading a thousand items of the journal.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any, Final

from shared.nodes.base import NodeError, Outputs
from shared.runs.model import NodeRecord
from stepfunctions.engine import repeats
from stepfunctions.engine.body import Body
from stepfunctions.engine.errors import Failure
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
                failure = Failure(error["node_id"], error["error"], error["message"], error["attempts"])
                raise repeats.item_failed(failure, failed["index"])
            del number
        done = {number for number, lot in known.items() if "results" in lot}
        return tuple(n for n in range(-(-items // self._size(items))) if n not in done)

    async def run(self, number: int) -> None:
        """Work through a lot. Raises Failure when an item fails and that is not tolerated, and what stops the call."""
        journal, loop = self.visit.journal, self._loop
        items = repeats.items_of(self.body, MAX_ITEMS)
        size = self._size(len(items))
        found = await asyncio.to_thread(journal.begin_lot, loop, number)
        if found is not None and "results" in found:
            return
        indices = range(number * size, min((number + 1) * size, len(items)))
        before = {} if found is None else await asyncio.to_thread(self._recorded, indices)
        body, results, failures = replace(self.body, before=before), list[Any](), 0
        for index in indices:
            try:
                results.append([await body.run(index, {"item": items[index], "index": index})])
            except Failure as failure:
                if body.config["on_item_error"] == "fail":
                    failed = {"error": failure.as_dict(), "index": index, "attempt": body.frame.run.attempt}
                    await asyncio.to_thread(journal.put_lot, loop, number, {"failed": failed})
                    raise
                failures += 1
                results.append([None] if body.config["on_item_error"] == "null" else [])
        stored = await asyncio.to_thread(store, Value(results), body.frame.objects)
        await asyncio.to_thread(journal.put_lot, loop, number, {"results": stored, "failures": failures})

    def _recorded(self, indices: range) -> dict[str, list[NodeRecord]]:
        paths = [self.body.frame.inside(self.body.node.id, index, {}).path for index in indices]
        return {path: self.visit.journal.load_scope(path) for path in paths}

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
