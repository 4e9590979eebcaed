"""Timers, questions and children: what is done before the state machine waits, and what when it has gone on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from shared.clock import now_ms
from shared.ids import new_id
from shared.nodes.base import Asked, Call, Child, Ended, NodeError, Outputs, Question, Timer, Wanted
from shared.nodes.registry import get
from shared.runs.model import NodeRecord
from stepfunctions.engine.dataflow import Dataflow, load
from stepfunctions.engine.errors import Failure
from stepfunctions.engine.execute import Skipped, fail, prepare, settle, skip
from stepfunctions.engine.frame import Frame, Outcome
from stepfunctions.engine.payloads import Value
from stepfunctions.plan import BoundNode

_COARSE_MS: Final = 3_000  # moto leaves out what is below a second, of the moment and then of the time to it


class TaskDesk(Protocol):
    """What one run waits for, as the engine needs it: the inbox (`shared.tasks.service`) and the runs that it starts
    (`stepfunctions.children`).
    """

    def open(self, task_id: str, node_id: str, asked: Asked, token: str) -> bool:
        """Put a task into the inbox, or give an open one its new token; False if it is closed already."""
        ...

    def settle(self, task_id: str) -> Mapping[str, Any] | None:
        """The answer to a task; None, and the task closed, if nobody answered in time."""
        ...

    def begin(self, record: NodeRecord, wanted: Wanted, token: str) -> bool:
        """Start a node's child, or give the one that is there its new token; False if it has ended. Raises NodeError.

        `record` names the child and the node's attempt.
        """
        ...

    def ended(self, child_id: str) -> Ended | None:
        """How a child ended, its output as it is stored; None, and the child cancelled, if it has not."""
        ...


@dataclass(frozen=True, slots=True)
class Waits:
    """The waits of one run's workflow scope, for one call."""

    flow: Dataflow
    frame: Frame
    desk: TaskDesk

    async def arm(self, node: BoundNode) -> int | None:
        """Compute a timer's moment (milliseconds since the epoch); None when there is nothing to wait for."""
        timer = get(node.type)
        if not isinstance(timer, Timer):
            raise TypeError(f"{node.type} is no timer")
        outcome = self.frame.outcomes.get(node.id)
        if outcome is not None:
            return None if outcome.settled else outcome.record.until
        record, call = await self._begin(node)
        if call is None:
            return None
        try:
            record.until = timer.until_ms(call, now_ms())
        except NodeError as error:
            await self._failed(node, record, error)
            return None
        stands = await self._rest(record)
        return None if stands.settled else stands.record.until

    async def ask(self, node: BoundNode, token: str) -> bool:
        """Put a question into the inbox, or start a child; False when there is nothing to wait for, or no more."""
        node_type = get(node.type)
        if not isinstance(node_type, (Question, Child)):
            raise TypeError(f"{node.type} is no question")
        outcome = self.frame.outcomes.get(node.id)
        if outcome is not None and outcome.settled:
            return False
        record, call = await self._begin(node)
        if call is None:
            return False
        if isinstance(node_type, Child):
            return await self._begin_child(node, record, outcome, node_type.wanted(call), token)
        try:
            asked = node_type.ask(call)
        except NodeError as error:
            await self._failed(node, record, error)
            return False
        if outcome is None:
            record.task = new_id("tk")
            outcome = await self._rest(record)
        if outcome.settled:
            return False
        return await asyncio.to_thread(self.desk.open, outcome.record.task or "", node.id, asked, token)

    async def _begin_child(
        self, node: BoundNode, record: NodeRecord, outcome: Outcome | None, wanted: Wanted, token: str
    ) -> bool:
        if outcome is None:
            record.child = new_id("ex")
            outcome = await self._rest(record)
        if outcome.settled:
            return False
        try:
            return await asyncio.to_thread(self.desk.begin, outcome.record, wanted, token)
        except NodeError as error:
            await self._failed(node, outcome.record, error)
            return False

    async def settle(self, node: BoundNode) -> None:
        """Settle a wait that the state machine has left behind: its time is over, or it has been answered."""
        outcome = self.frame.outcomes.get(node.id)
        if outcome is None or outcome.settled:
            return
        await load(self.frame, node)
        record, node_type = outcome.record, get(node.type)
        if isinstance(node_type, Timer):
            # A Wait state's clock may be coarser than ours: what is missing to the moment is waited for here.
            left = (record.until or 0) - now_ms()
            if left > 0:
                await asyncio.sleep((min(left, _COARSE_MS) + 1) / 1000)
            timer, waited = node_type, now_ms() - (record.started_at or now_ms())
            await self._settled(node, record, lambda call: timer.elapsed(call, waited))
        elif isinstance(node_type, Question):
            question = node_type
            answer = await asyncio.to_thread(self.desk.settle, record.task or "")
            if answer is None:
                await self._settled(node, record, question.lapsed)
            else:
                given = answer
                await self._settled(node, record, lambda call: question.answered(call, given))
        elif isinstance(node_type, Child):
            child, run = node_type, await asyncio.to_thread(self.desk.ended, record.child or "")
            if run is None:
                await self._settled(node, record, child.lapsed)
            else:
                # Only the reference of a large value goes from the child's run into this one's.
                output = Value(encoded=run.output or {"v": None}, objects=self.frame.objects)
                handed_on = replace(run, output=output)
                await self._settled(node, record, lambda call: child.ended(call, handed_on))

    async def _begin(self, node: BoundNode) -> tuple[NodeRecord, Call | None]:
        """The node's new record and call; no call when it is skipped or has failed already."""
        record = NodeRecord(node.id, self.frame.path, "running", started_at=now_ms(), attempts=1)
        await load(self.frame, node)
        try:
            return record, prepare(self.frame, node, record, self.flow.new_world())
        except Skipped:
            self.flow.journal.note(skip(self.frame, record).record)
        except NodeError as error:
            await self._failed(node, record, error)
        return record, None

    async def _failed(self, node: BoundNode, record: NodeRecord, error: NodeError) -> None:
        await self._written(node, lambda: fail(self.frame, node, record, error))

    async def _rest(self, record: NodeRecord) -> Outcome:
        record.status = "paused"
        return self.frame.adopt(await asyncio.to_thread(self.flow.journal.write, record))

    async def _settled(self, node: BoundNode, record: NodeRecord, work: Callable[[Call], Outputs]) -> None:
        await self._written(node, lambda: settle(self.frame, node, record, work, self.flow.new_world()))

    async def _written(self, node: BoundNode, outcome: Callable[[], object]) -> None:
        """Bring the node to its outcome and record it, also when that is a failure on its way up.

        Where a parallel branch was first, its outcome holds: a timer's `elapsed` is the same for everybody.
        """
        failure: Failure | None = None
        try:
            outcome()
        except Failure as raised:
            failure = raised
        record = self.frame.outcomes[node.id].record
        stands = await asyncio.to_thread(self.flow.journal.write, record)
        if stands is not record:
            self.frame.take_over([stands])
        elif failure is not None:
            raise failure
