"""One call of the state machine: a segment or a question of a run, from the journal to the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from shared.clock import iso
from shared.runs.model import NodeRecord
from shared.runs.store import RunStore
from stepfunctions.engine.control import Control, halt_of
from stepfunctions.engine.dataflow import Dataflow
from stepfunctions.engine.errors import Failure, NodeFailed, Stopped
from stepfunctions.engine.execute import NewWorld
from stepfunctions.engine.frame import Frame
from stepfunctions.engine.journal import Journal
from stepfunctions.engine.payloads import Objects, Value
from stepfunctions.engine.waits import TaskDesk, Waits
from stepfunctions.plan import BoundNode, Plan

_LONG_AGO: Final = "1970-01-01T00:00:00.000Z"  # the moment of a timer that is not to be waited for


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything a call needs of the outside. `remaining` gives the seconds it has left; `owner` names the call."""

    runs: RunStore
    desk: TaskDesk
    objects: Objects
    new_world: NewWorld
    remaining: Callable[[], float]
    owner: str

    async def segment(self, plan: Plan, execution_id: str, number: int) -> dict[str, Any]:
        """Run a segment. Gives what the state machine has to know: `{until: […]}` for the timers behind it.

        Raises NodeFailed (the run has failed, and is closed), Paused, Stopped, TimeSlice or Busy.
        """
        segment, state = plan.segments[number], f"segment {number}"
        async with self._visit(plan, execution_id, state) as visit:
            timers = [plan.nodes[n] for n in segment.arms]
            # The last call leaves nothing open: a wait that nothing comes after is settled here.
            wanted = plan.members[""] if segment.closes else segment.nodes
            await visit.advance([*wanted, *(n for timer in timers for n in timer.waits_for)])
            moments = [await visit.waits.arm(timer) for timer in timers]
        if segment.closes:
            await asyncio.to_thread(self._complete, visit.frame)
        elif plan.questions:
            await asyncio.to_thread(self._leave, visit, state)
        return {"until": [_LONG_AGO if m is None else iso(m) for m in moments]}

    async def question(self, plan: Plan, execution_id: str, position: int, token: str) -> bool:
        """Ask the question at this position. False when there is nothing to wait for: the token is to be used at once.

        Raises as `segment` does.
        """
        asking, state = plan.questions[position], f"question {position}"
        node = plan.nodes[asking.node]
        async with self._visit(plan, execution_id, state) as visit:
            await visit.advance([*(n for n in asking.nodes if n != node.id), *node.waits_for])
            asked = await visit.waits.ask(node, token)
        await asyncio.to_thread(self._leave, visit, state)
        return asked

    @asynccontextmanager
    async def _visit(self, plan: Plan, execution_id: str, state: str) -> AsyncIterator[_Visit]:
        """A call's stay with a run: its journal read at the start, what was noted written at the end."""
        run = await asyncio.to_thread(self.runs.begin, execution_id, state if plan.questions else None)
        if run is None or run.plan != plan.digest:
            raise Stopped("the run has ended, or belongs to another plan")
        halt = halt_of(run)
        if halt is not None:
            raise halt
        journal = Journal(self.runs, execution_id, self.owner)
        frame = Frame(plan, run, Value(encoded=run.trigger, objects=self.objects), self.objects)
        control = Control(run, lambda: self.runs.get(execution_id), self.remaining)
        flow = Dataflow(journal, control, self.new_world)
        try:
            frame.take_over(await asyncio.to_thread(journal.load_scope, ""))
            yield _Visit(frame, journal, flow, Waits(flow, frame, self.desk))
        except Failure as failure:
            journal.flush()
            await asyncio.to_thread(self.runs.close, execution_id, "failed", error=failure.as_dict())
            raise NodeFailed("a node failed; the run's record says which") from None
        finally:
            await asyncio.to_thread(journal.flush)

    def _complete(self, frame: Frame) -> None:
        self.runs.close(frame.run.id, "completed", final_output=_final_output(frame).store(self.objects))

    def _leave(self, visit: _Visit, state: str) -> None:
        """This call is over: the run rests if no other is at it, a question is open, and none has begun meanwhile."""
        run = self.runs.leave(visit.frame.run.id, state)
        if run is not None and not run.working and any(_is_asked(r) for r in visit.journal.load_scope("")):
            self.runs.rest(run.id, "human_input", since=run.calls)


@dataclass(frozen=True, slots=True)
class _Visit:
    frame: Frame
    journal: Journal
    flow: Dataflow
    waits: Waits

    async def advance(self, node_ids: Iterable[str]) -> None:
        """Settle these nodes, the pure nodes they need, and the waits before them that the machine has passed."""
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
        return [n for n in plan.members[""] if n in wanted]


def _is_asked(record: NodeRecord) -> bool:
    return record.status == "paused" and record.task is not None


def _output_nodes(plan: Plan) -> tuple[BoundNode, ...]:
    return tuple(n for n in plan.nodes.values() if n.type == "output" and not n.scope)


def _final_output(frame: Frame) -> Value:
    """The value of the only `output` node that ran; with several, an object by node id; with none, null."""
    values: dict[str, Any] = {}
    for node in (n for n in _output_nodes(frame.plan) if _ran(frame, n.id)):
        _, delivered = frame.delivered(node)
        record = frame.outcomes[node.id].record
        if "value" in delivered:
            values[node.id] = delivered["value"][0]
        else:
            values[node.id] = Value(encoded=record.inputs.get("value", {"v": None}), objects=frame.objects)
    if len(values) == 1:
        only: Value = next(iter(values.values()))
        return only
    return Value({n: v.get() for n, v in values.items()} if values else None)


def _ran(frame: Frame, node_id: str) -> bool:
    outcome = frame.outcomes.get(node_id)
    return outcome is not None and outcome.record.status == "completed"
