"""Containers whose bodies run within one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from shared.nodes.base import NodeError, Outputs
from shared.runs.model import NodeRecord
from stepfunctions.engine import repeats
from stepfunctions.engine.body import Body, Flow
from stepfunctions.engine.errors import HALTS
from stepfunctions.engine.execute import Skipped, complete, fail, prepare, skip
from stepfunctions.engine.frame import Frame
from stepfunctions.plan import BoundNode

_REPEATS: Final[Mapping[str, Callable[[Body], Awaitable[Outputs]]]] = {
    "each": repeats.each,
    "while": repeats.as_long_as,
    "again": repeats.again,
}


async def run(flow: Flow, frame: Frame, node: BoundNode, record: NodeRecord, *, resuming: bool) -> None:
    """Run a container to its outcome in `frame`. Raises Failure, or what stops the call."""
    repeat = _REPEATS[repeats.repeats_of(node)]
    world = flow.new_world()
    try:
        call = prepare(frame, node, record, world)
    except Skipped:
        skip(frame, record)
        return
    except NodeError as error:
        fail(frame, node, record, error)
        return
    record.attempts += 1
    try:
        before = await recorded(flow, frame, node) if resuming else {}
        instead = world.instead(node.id, call)
        outputs = await repeat(Body(flow, frame, node, call, before)) if instead is None else instead
    except HALTS:
        record.attempts -= 1  # it is put down, and whoever takes it up goes on with the same attempt
        raise
    except NodeError as error:
        fail(frame, node, record, error)
        return
    complete(frame, node, record, outputs)


async def recorded(flow: Flow, frame: Frame, node: BoundNode) -> Mapping[str, list[NodeRecord]]:
    """What earlier calls have recorded of the passes, by scope."""
    if frame.below is not None:
        return frame.below
    path = f"{frame.path}/{node.id}" if frame.path else node.id
    found: dict[str, list[NodeRecord]] = {}
    for record in await asyncio.to_thread(flow.journal.load_below, path):
        found.setdefault(record.scope, []).append(record)
    return found
