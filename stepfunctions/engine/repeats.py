"""How containers repeat their bodies: for each item, while a condition holds, again after a failure.

Each gives the container's outputs.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from shared.clock import now_ms
from shared.expressions.truth import truth
from shared.nodes.base import Composite, Container, NodeError, Outputs
from shared.nodes.registry import get
from shared.runs.model import Stored
from stepfunctions.engine.body import Body
from stepfunctions.engine.errors import HALTS, Failure
from stepfunctions.engine.payloads import Value
from stepfunctions.plan import BoundNode

MAX_ITEMS: Final = 10_000
TOO_MANY_FAILURES: Final = "TooManyFailures"
_LONGEST_PAUSE: Final = 3_600.0  # seconds, between two passes of a retry
_STEEPEST: Final = 100  # passes after which the pause grows no more: a float has an end

_DROPPED: Final = object()  # the place of an item whose failure is skipped


async def each(body: Body) -> Outputs:
    """`loop`. Raises NodeError when an item fails and that is not tolerated."""
    items = items_of(body, MAX_ITEMS)
    results = await _Lanes(body).run(items)
    return {"results": [r for r in results if r is not _DROPPED], "count": len(items)}


def check_failures(body: Body, failures: int) -> None:
    """Raises NodeError when more items have failed than the loop puts up with."""
    most = body.config.get("tolerated_failures")
    if most is not None and failures > most:
        raise NodeError(TOO_MANY_FAILURES, f"more than {most:,} items have failed", retryable=False)


def items_of(body: Body, most: int) -> list[Any]:
    """The items of a loop. Raises NodeError."""
    items = body.inputs["items"]
    if not isinstance(items, list):
        raise NodeError("InvalidInput", "items must be an array", retryable=False)
    if len(items) > most:
        raise NodeError("TooManyItems", f"{len(items):,} items; a loop takes {most:,}", retryable=False)
    return items


def local_of(body: Body, number: int, state: Stored | None) -> dict[str, Any]:
    """What the nodes of one pass of an opened container see. `state`: what a `while_loop` has come to, as recorded."""
    match repeats_of(body.node):
        case "each":
            return {"item": body.inputs["items"][number], "index": number}
        case "while":
            before = first_state(body) if state is None else Value(encoded=state, objects=body.frame.objects).get()
            return {"state": before, "iteration": number}
        case _:
            return {"input": body.inputs.get("input")}


def repeats_of(node: BoundNode) -> str:
    """How a container repeats its body."""
    container = get(node.type)
    if not isinstance(container, Container):
        raise TypeError(f"{node.type} is no container")
    return container.repeats


class _Lanes:
    """Items, a few at a time."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._halt: Exception | None = None
        self._failures = 0

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
                raise item_failed(failure, index) from failure
            self._failures += 1
            check_failures(self._body, self._failures)
            return None if tolerance == "null" else _DROPPED


async def as_long_as(body: Body) -> Outputs:
    """`while_loop`: the condition is checked before each pass. Raises NodeError, MaxIterations among them."""
    state, iteration = first_state(body), 0
    while goes_on(body, state, iteration):
        try:
            state = await body.run(iteration, {"state": state, "iteration": iteration})
        except Failure as failure:
            raise pass_failed(failure, iteration) from failure
        iteration += 1
    return last_state(body, state, iteration)


def first_state(body: Body) -> Any:
    """The state before the first pass of a `while_loop` or a composite. Raises NodeError."""
    node_type = get(body.node.type)
    return node_type.first(body.call) if isinstance(node_type, Composite) else body.inputs.get("initial")


def last_state(body: Body, state: Any, iteration: int) -> Outputs:
    """What a `while_loop` or a composite gives after its last pass. Raises NodeError."""
    node_type = get(body.node.type)
    if isinstance(node_type, Composite):
        return node_type.outcome(body.call, state)
    return {"state": state, "iterations": iteration}


def goes_on(body: Body, state: Any, iteration: int) -> bool:
    """Whether a `while_loop` or a composite has another pass. Raises NodeError, MaxIterations among them."""
    node_type = get(body.node.type)
    if isinstance(node_type, Composite):
        return node_type.goes_on(state)
    if not truth(body.evaluate(body.config["condition"], {"state": state, "iteration": iteration})):
        return False
    most = int(body.config["max_iterations"])
    if iteration >= most:
        raise NodeError("MaxIterations", f"the condition is still true after {most:,} passes", retryable=False)
    return True


async def again(body: Body) -> Outputs:
    """`retry`: the whole body, again after a failure. Raises NodeError when the last pass has failed."""
    number = 0
    while True:
        try:
            return {"output": await body.run(number, {"input": body.inputs.get("input")})}
        except Failure as failure:
            await before_again(body, number, failure)
        number += 1


async def before_again(body: Body, number: int, failure: Failure) -> None:
    """Rest after a failed pass of a `retry`. Raises NodeError when it was the last, and what stops the call."""
    most, pause = int(body.config["max_retries"]), float(body.config["interval_seconds"])
    if number >= most:
        raise _failed(failure, f"in pass {number + 1} of {most + 1}") from failure
    pause *= float(body.config["backoff_rate"]) ** min(number, _STEEPEST)
    # A pause may be longer than a call: the next one goes on with it, from when the pass failed.
    failed_at = body.failed_at(number) or now_ms()
    await body.flow.rest(body.node, failed_at + round(min(pause, _LONGEST_PAUSE) * 1000))


def item_failed(failure: Failure, index: int) -> NodeError:
    """What an item's failure is for its loop."""
    return _failed(failure, f"for item {index}")


def pass_failed(failure: Failure, iteration: int) -> NodeError:
    """What the failure of a pass is for its `while_loop`."""
    return _failed(failure, f"in pass {iteration}")


def _failed(failure: Failure, where: str) -> NodeError:
    return NodeError(failure.error, f"{failure.node_id} failed {where}: {failure.message}", retryable=False)
