"""How containers repeat their bodies: for each item, while a condition holds, again after a failure.

Each takes the body and the container's inputs, and gives the container's outputs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from shared.clock import now_ms
from shared.expressions.truth import truth
from shared.nodes.base import NodeError, Outputs
from stepfunctions.engine.body import Body
from stepfunctions.engine.errors import HALTS, Failure

MAX_ITEMS: Final = 10_000
_LONGEST_PAUSE: Final = 3_600.0  # seconds, between two passes of a retry

_DROPPED: Final = object()  # the place of an item whose failure is skipped


async def each(body: Body, inputs: Mapping[str, Any]) -> Outputs:
    """`loop`. Raises NodeError when an item fails and that is not tolerated."""
    items = inputs["items"]
    if not isinstance(items, list):
        raise NodeError("InvalidInput", "items must be an array", retryable=False)
    if len(items) > MAX_ITEMS:
        raise NodeError("TooManyItems", f"{len(items):,} items; a loop takes {MAX_ITEMS:,}", retryable=False)
    results = await _Lanes(body).run(items)
    return {"results": [r for r in results if r is not _DROPPED], "count": len(items)}


class _Lanes:
    """Items, a few at a time."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._halt: Exception | None = None

    async def run(self, items: list[Any]) -> list[Any]:
        """The results in the order of the items."""
        results: list[Any] = [_DROPPED] * len(items)
        left = iter(enumerate(items))

        async def work() -> None:
            for index, item in left:
                if self._halt is not None:
                    return
                try:
                    results[index] = await self._item(index, item)
                except HALTS as reason:
                    # The other lanes come to their own next boundary: what they have in flight is not cut off.
                    self._halt = reason
                    return

        lanes = min(int(self._body.config["max_concurrency"]), len(items))
        if lanes <= 1:
            await work()
        else:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(lanes):
                        group.create_task(work())
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from None
        if self._halt is not None:
            raise self._halt
        return results

    async def _item(self, index: int, item: Any) -> Any:
        try:
            return await self._body.run(index, {"item": item, "index": index})
        except Failure as failure:
            tolerance = self._body.config["on_item_error"]
            if tolerance == "fail":
                raise _failed(failure, f"for item {index}") from failure
            return None if tolerance == "null" else _DROPPED


async def as_long_as(body: Body, inputs: Mapping[str, Any]) -> Outputs:
    """`while_loop`: the condition is checked before each pass. Raises NodeError, MaxIterations among them."""
    state, most = inputs.get("initial"), int(body.config["max_iterations"])
    for iteration in range(most + 1):
        local = {"state": state, "iteration": iteration}
        if not truth(body.evaluate(body.config["condition"], local)):
            return {"state": state, "iterations": iteration}
        if iteration < most:
            try:
                state = await body.run(iteration, local)
            except Failure as failure:
                raise _failed(failure, f"in pass {iteration}") from failure
    raise NodeError("MaxIterations", f"the condition is still true after {most:,} passes", retryable=False)


async def again(body: Body, inputs: Mapping[str, Any]) -> Outputs:
    """`retry`: the whole body, again after a failure. Raises NodeError when the last pass has failed."""
    most, pause = int(body.config["max_retries"]), float(body.config["interval_seconds"])
    local = {"input": inputs.get("input")}
    for number in range(most + 1):
        try:
            return {"output": await body.run(number, local)}
        except Failure as failure:
            if number == most:
                raise _failed(failure, f"in pass {number + 1} of {most + 1}") from failure
        # A pause may be longer than a call: the next one goes on with it, from when the pass failed.
        failed_at = body.failed_at(number) or now_ms()
        await body.flow.rest(body.node, failed_at + round(min(pause, _LONGEST_PAUSE) * 1000))
        pause *= float(body.config["backoff_rate"])
    raise AssertionError("the last pass returns or raises")


def _failed(failure: Failure, where: str) -> NodeError:
    return NodeError(failure.error, f"{failure.node_id} failed {where}: {failure.message}", retryable=False)
