"""One call of the state machine: a segment, a turn or a question of a run, from the journal to the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from shared.nodes.base import NodeError
from shared.runs.model import NodeRecord, Run
from shared.runs.store import RunStore
from stepfunctions.engine.budget import FREE, Account, Meter
from stepfunctions.engine.control import Control, halt_of
from stepfunctions.engine.dataflow import Dataflow
from stepfunctions.engine.errors import BodyFailed, Continued, Failure, NodeFailed, OverBudget, Paused, Stopped
from stepfunctions.engine.execute import NewWorld, store
from stepfunctions.engine.frame import Frame
from stepfunctions.engine.journal import Journal
from stepfunctions.engine.lots import run_lot
from stepfunctions.engine.opened import Passes
from stepfunctions.engine.payloads import Objects, Value
from stepfunctions.engine.visit import Visit
from stepfunctions.engine.waits import TaskDesk
from stepfunctions.plan import BoundNode, Plan

# Calls of one execution, after which the run goes on in another: each takes some ten events of the 25,000 that a
# history can hold (a Task five, the Choice and the Map around it the rest), and branches at work may add to them.
_CALLS_PER_EXECUTION = 1_500


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything a call needs of the outside. `remaining` gives the seconds it has left; `owner` names the call.

    `attempt` is that of the execution which calls (None: unknown).
    """

    runs: RunStore
    desk: TaskDesk
    objects: Objects
    new_world: NewWorld
    remaining: Callable[[], float]
    owner: str
    attempt: int | None
    account: Account = FREE

    async def segment(self, plan: Plan, execution_id: str, number: int, at: Sequence[int] = ()) -> dict[str, Any]:
        """Run a segment. Gives what the state machine has to know: `{until: […]}` for the timers behind it.

        `at` has the numbers of the passes that the segment is in, the outermost first. Raises NodeFailed (the run has
        failed, and is closed), BodyFailed, Paused, Stopped, TimeSlice or Busy.
        """
        segment, state = plan.segments[number], _named("segment", number, at)
        if segment.scope in plan.in_lots:
            return await self._lot(plan, execution_id, segment.scope, state, at)
        async with self._visit(plan, execution_id, state, segment.scope, at) as visit:
            moments = await visit.segment(segment)
        if segment.closes and not segment.scope:
            await asyncio.to_thread(self._complete, visit.frame)
        elif plan.questions:
            await asyncio.to_thread(self._leave, plan, visit, state)
        return {"until": moments}

    async def turn(
        self, plan: Plan, execution_id: str, position: int, at: Sequence[int] = (), *, broken: bool = False
    ) -> dict[str, Any]:
        """Decide on the next pass of an opened container, or on several: `{turn: {go, at, items}, until: […]}`.

        `at` as for `segment`; in the container's own pass, that pass is over. `broken`: its passes are executions of
        their own, and one has failed. Raises as `segment` does, and Continued.
        """
        turning, state = plan.turns[position], _named("turn", position, at)
        scope = plan.nodes[turning.node].scope
        outer = tuple(at[: len(plan.around(scope))])
        over = at[len(outer)] if len(at) > len(outer) else None
        async with self._visit(plan, execution_id, state, scope, outer) as visit:
            await visit.advance([*turning.nodes, *plan.nodes[turning.node].waits_for])
            decided = await Passes(visit, turning, broken=broken).next(over)
            if decided.numbers:
                await asyncio.to_thread(self._continue, visit.frame.run)
        if plan.questions:
            await asyncio.to_thread(self._leave, plan, visit, state)
        inside = [_text((*outer, number)) for number in decided.numbers]
        single = turning.lanes == 1 and not turning.apart and bool(inside)
        place = inside[0] if single else _text(outer)
        turn = {"go": bool(inside), "at": place, "items": [] if single else inside, "broken": False}
        return {"turn": turn, "until": decided.moments}

    async def _lot(self, plan: Plan, execution_id: str, loop: str, state: str, at: Sequence[int]) -> dict[str, Any]:
        async with self._visit(plan, execution_id, state, plan.nodes[loop].scope, at[:-1]) as visit:
            try:
                await run_lot(visit, loop, at[-1])
            except Failure:  # the loop's turn reads of it, and decides
                await self._left(plan, visit.frame.run, state)
                raise BodyFailed("an item failed; the run's record says which") from None
        if plan.questions:
            await asyncio.to_thread(self._leave, plan, visit, state)
        return {"until": []}

    async def question(self, plan: Plan, execution_id: str, position: int, token: str, at: Sequence[int] = ()) -> bool:
        """Ask the question at this position. False when there is nothing to wait for: the token is to be used at once.

        Raises as `segment` does.
        """
        asking, state = plan.questions[position], _named("question", position, at)
        node = plan.nodes[asking.node]
        async with self._visit(plan, execution_id, state, node.scope, at) as visit:
            await visit.advance([*(n for n in asking.nodes if n != node.id), *node.waits_for])
            asked = await visit.waits.ask(node, token)
        await asyncio.to_thread(self._leave, plan, visit, state)
        return asked

    @asynccontextmanager
    async def _visit(
        self, plan: Plan, execution_id: str, state: str, scope: str, at: Sequence[int]
    ) -> AsyncIterator[Visit]:
        """A call's stay with a run: its journal read at the start, what was noted written at the end."""
        run = await asyncio.to_thread(self.runs.begin, execution_id, state if plan.questions else None, self.attempt)
        if run is None or run.plan != plan.digest:
            raise Stopped("the run has ended, goes on in another execution, or belongs to another plan")
        halt = halt_of(run)
        if halt is not None:
            raise halt
        journal = Journal(self.runs, execution_id, self.owner, plan.opened - plan.in_lots)
        frame = Frame(plan, run, Value(encoded=run.trigger, objects=self.objects), self.objects)
        meter = Meter(plan.budget, run, self.account, lambda tokens, nano: self.runs.use(execution_id, tokens, nano))
        control = Control(run, lambda: self.runs.get(execution_id), self.remaining, meter)
        visit = Visit(frame, journal, Dataflow(journal, control, self.new_world), self.desk)
        try:
            await visit.recorded()
            for container, number in zip(plan.around(scope), at, strict=False):
                visit = await visit.inside(container, number)
                await visit.recorded()
            yield visit
        except Failure as failure:
            journal.flush()
            if visit.frame.parent is not None:
                await self._left(plan, run, state)
                raise BodyFailed("a node failed; the run's record says which") from None
            await asyncio.to_thread(self._fail, run, failure.as_dict())
            raise NodeFailed("a node failed; the run's record says which") from None
        except OverBudget as over:  # no node's failure: no `on_error`, loop or retry of the document handles it
            journal.flush()
            await asyncio.to_thread(self._fail, run, over.as_dict())
            raise Stopped("what the run may use of models is used up") from None
        except Paused:
            await self._left(plan, run, state)
            raise
        finally:
            await asyncio.to_thread(journal.flush)

    async def _left(self, plan: Plan, run: Run, state: str) -> None:
        """This call ends without having done its work, and its state may not be called again."""
        if plan.questions:
            await asyncio.to_thread(self.runs.leave, run.id, state, run.attempt)

    def _fail(self, run: Run, error: Mapping[str, Any]) -> None:
        """The attempt that this call is of has failed: one that somebody has begun since has not."""
        self.runs.close(run.id, "failed", error=error, attempt=run.attempt)

    def _complete(self, frame: Frame) -> None:
        """Close the run with its output. Raises NodeFailed when that cannot be stored: the run has failed, then."""
        ran = [n.id for n in _output_nodes(frame.plan) if _ran(frame, n.id)]
        try:
            output = store(_final_output(frame), self.objects)
        except NodeError as error:  # of several outputs, each of which could be stored
            said = f"the run's final output, of {', '.join(ran)}: {error.message}"
            self._fail(frame.run, Failure(ran[-1], error.error, said, 1).as_dict())
            raise NodeFailed("the run's final output cannot be stored; the run's record says why") from None
        self.runs.close(frame.run.id, "completed", final_output=output, attempt=frame.run.attempt)

    def _continue(self, run: Run) -> None:
        """Go on in a new execution, over the same journal, before this one's history is full. Raises Continued.

        What starts it is the event of this one's end (`stepfunctions.reconcile`).
        """
        if run.calls - run.calls_before < _CALLS_PER_EXECUTION:
            return
        self.runs.hand_over(run)
        raise Continued("the run goes on in a new execution")

    def _leave(self, plan: Plan, visit: Visit, state: str) -> None:
        """This call is over: the run rests if no other is at it, a question is open, and none has begun meanwhile."""
        run = self.runs.leave(visit.frame.run.id, state, visit.frame.run.attempt)
        if run is not None and not run.working and self._asks(plan, visit):
            self.runs.rest(run.id, "human_input", since=run.calls)

    def _asks(self, plan: Plan, visit: Visit) -> bool:
        if any(_is_asked(r) for r in visit.journal.load_scope(visit.frame.path)):
            return True
        elsewhere = plan.opened and any(plan.nodes[q.node].scope for q in plan.questions)
        return bool(elsewhere) and any(_is_asked(r) for r in visit.journal.load_all())


def _named(what: str, number: int, at: Sequence[int]) -> str:
    """A state, among those of all passes."""
    return " ".join([what, str(number), *([_text(at)] if at else [])])


def _text(at: Sequence[int]) -> str:
    return "/".join(str(number) for number in at)


def _is_asked(record: NodeRecord) -> bool:
    return record.status == "paused" and record.task is not None


def _output_nodes(plan: Plan) -> tuple[BoundNode, ...]:
    return tuple(n for n in plan.nodes.values() if n.type == "output" and not n.scope and not n.disabled)


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
