"""A call's stay in one scope of a run: the workflow, or one pass of an opened container's body."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from shared.clock import iso
from shared.runs.model import NodeRecord
from stepfunctions.engine.body import Body
from stepfunctions.engine.dataflow import Dataflow, load
from stepfunctions.engine.execute import prepare
from stepfunctions.engine.frame import Frame
from stepfunctions.engine.journal import Journal
from stepfunctions.engine.repeats import local_of
from stepfunctions.engine.waits import TaskDesk, Waits
from stepfunctions.plan import Segment

_LONG_AGO = "1970-01-01T00:00:00.000Z"  # the moment of a timer that is not to be waited for


@dataclass(frozen=True, slots=True)
class Visit:
    """`frame` is the scope; the rest is the call's."""

    frame: Frame
    journal: Journal
    flow: Dataflow
    desk: TaskDesk

    @property
    def waits(self) -> Waits:
        """The waits of this scope."""
        return Waits(self.flow, self.frame, self.desk)

    async def segment(self, segment: Segment) -> list[str]:
        """Run a segment of this scope; gives the moments of the timers behind it. Raises as `advance` does."""
        timers = [self.frame.plan.nodes[n] for n in segment.arms]
        # The last call leaves nothing open: a wait that nothing comes after is settled here.
        wanted = self.frame.plan.members[segment.scope] if segment.closes else segment.nodes
        await self.advance([*wanted, *(n for timer in timers for n in timer.waits_for)])
        moments = [await self.waits.arm(timer) for timer in timers]
        return [_LONG_AGO if m is None else iso(m) for m in moments]

    async def advance(self, node_ids: Iterable[str]) -> None:
        """Settle these nodes, the pure nodes they need, and the waits before them that the machine has passed.

        Raises Failure, or what stops the call.
        """
        wanted = self._with_needs(node_ids)
        nodes = self.frame.plan.nodes
        waits = [nodes[n] for n in wanted if nodes[n].kind in ("timer", "question")]
        for wait in waits:
            await self.flow.run(self.frame, self._with_needs(wait.waits_for))
            await self.waits.settle(wait)
        await self.flow.run(self.frame, [n for n in wanted if nodes[n] not in waits])

    def _with_needs(self, node_ids: Iterable[str]) -> list[str]:
        plan, wanted, stack = self.frame.plan, set[str](), list(node_ids)
        while stack:
            node_id = stack.pop()
            outcome = self.frame.outcomes.get(node_id)
            if node_id not in wanted and not (outcome is not None and outcome.settled):
                wanted.add(node_id)
                stack += plan.nodes[node_id].waits_for
        return [n for n in plan.members[self.frame.scope] if n in wanted]

    async def body(self, container: str) -> Body:
        """The body of an opened container of this scope, whose inputs are there. Raises as `advance` does."""
        node = self.frame.plan.nodes[container]
        await self.advance(node.waits_for)
        await load(self.frame, node)
        call = prepare(self.frame, node, NodeRecord(container, self.frame.path, "running"), self.flow.new_world())
        return Body(self.flow, self.frame, node, call, {})

    async def inside(self, container: str, number: int) -> Visit:
        """The stay in one pass of an opened container of this scope. Raises as `advance` does."""
        body = await self.body(container)
        outcome = self.frame.outcomes.get(container)
        state = None if outcome is None else outcome.record.state
        local = await asyncio.to_thread(local_of, body, number, state)
        return Visit(self.frame.inside(container, number, local), self.journal, self.flow, self.desk)

    async def recorded(self) -> list[NodeRecord]:
        """Take over what earlier calls have recorded of this scope. Raises Failure if one of its nodes has failed."""
        records = await asyncio.to_thread(self.journal.load_scope, self.frame.path)
        self.frame.take_over(records)
        return records

    async def again(self, records: Iterable[NodeRecord]) -> None:
        """Compute the pure nodes again that failed, by these records: before a wait is settled or a node is run in a
        scope that may be lost. Raises Failure, or what stops the call.
        """
        latest = {r.node: r for r in records}
        failed = [r.node for r in latest.values() if r.status == "failed" and not r.handled]
        await self.flow.run(self.frame, self._with_needs(failed))
