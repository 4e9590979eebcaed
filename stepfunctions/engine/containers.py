"""Containers whose body runs within one call: each iteration is a scope of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from shared.nodes.base import NodeError
from shared.runs.model import NodeRecord
from stepfunctions.engine.errors import HALTS, Failure
from stepfunctions.engine.execute import Skipped, complete, fail, prepare, skip
from stepfunctions.engine.frame import Frame, ScopedExpressions
from stepfunctions.plan import BoundNode

if TYPE_CHECKING:
    from stepfunctions.engine.dataflow import Dataflow

MAX_ITEMS = 10_000


async def run(flow: Dataflow, frame: Frame, node: BoundNode, record: NodeRecord, *, resuming: bool) -> None:
    """Run a container to its outcome in `frame`. Raises Failure, or what stops the call."""
    try:
        call = prepare(frame, node, record, flow.new_world())
    except Skipped:
        skip(frame, record)
        return
    except NodeError as error:
        fail(frame, node, record, error)
        return
    record.attempts += 1
    try:
        items = call.inputs["items"]
        if not isinstance(items, list):
            raise NodeError("InvalidInput", "items must be an array", retryable=False)
        if len(items) > MAX_ITEMS:
            raise NodeError("TooManyItems", f"{len(items):,} items; a loop takes {MAX_ITEMS:,}", retryable=False)
        before = await _recorded(flow, frame, node) if resuming else {}
        results = await _Loop(flow, frame, node, call.config, before).run(items)
    except HALTS:
        record.attempts -= 1  # it is put down, and whoever takes it up goes on with the same attempt
        raise
    except NodeError as error:
        fail(frame, node, record, error)
        return
    complete(frame, node, record, {"results": results, "count": len(items)})


async def _recorded(flow: Dataflow, frame: Frame, node: BoundNode) -> dict[str, list[NodeRecord]]:
    """What earlier calls have recorded of the iterations, by scope."""
    path = f"{frame.path}/{node.id}" if frame.path else node.id
    found: dict[str, list[NodeRecord]] = {}
    for record in await asyncio.to_thread(flow.journal.load_below, path):
        found.setdefault(record.scope, []).append(record)
    return found


_DROPPED = object()  # the place of an item whose failure is skipped


class _Loop:
    """One run of a loop over its items."""

    def __init__(
        self, flow: Dataflow, frame: Frame, node: BoundNode, config: Any, before: dict[str, list[NodeRecord]]
    ) -> None:
        self._flow = flow
        self._frame = frame
        self._node = node
        self._config = config
        self._before = before
        self._body = frame.plan.members.get(node.id, ())
        self._halt: Exception | None = None

    async def run(self, items: list[Any]) -> list[Any]:
        """The results in the order of the items. Raises NodeError when an item fails and that is not tolerated."""
        results: list[Any] = [_DROPPED] * len(items)
        left = iter(enumerate(items))

        async def work() -> None:
            for index, item in left:
                if self._halt is not None:
                    return
                try:
                    results[index] = await self._iteration(index, item)
                except HALTS as reason:
                    # The other lanes come to their own next boundary: what they have in flight is not cut off.
                    self._halt = reason
                    return

        lanes = min(int(self._config["max_concurrency"]), len(items))
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
        return [r for r in results if r is not _DROPPED]

    async def _iteration(self, index: int, item: Any) -> Any:
        late = self._flow.control.out_of_time()
        if late is not None:
            raise late
        inner = self._frame.inside(self._node.id, index, {"item": item, "index": index})
        try:
            inner.take_over(self._before.get(inner.path, ()))
            await self._flow.run(inner, self._body)
            return self._result(inner)
        except Failure as failure:
            tolerance = self._config["on_item_error"]
            if tolerance == "fail":
                message = f"{failure.node_id} failed for item {index}: {failure.message}"
                raise NodeError(failure.error, message, retryable=False) from failure
            return None if tolerance == "null" else _DROPPED

    def _result(self, inner: Frame) -> Any:
        """`config.result` over the body's scope, else what its only sink gives, else what each sink gives."""
        expression = self._config.get("result")
        if expression:
            return ScopedExpressions(inner.names_for(self._node)).evaluate(expression)
        plan = inner.plan
        sources = {e.source for e in plan.edges if plan.nodes[e.target].scope == inner.scope}
        sinks = [plan.nodes[n] for n in self._body if n not in sources]
        values = {n.id: self._first_output(inner, n) for n in sinks}
        return next(iter(values.values())) if len(values) == 1 else values

    @staticmethod
    def _first_output(inner: Frame, node: BoundNode) -> Any:
        outcome = inner.outcomes[node.id]
        value = outcome.outputs.get(node.outputs[0]) if node.outputs else None
        return value.get() if value is not None else None
