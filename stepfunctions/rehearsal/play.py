"""One run of a compiled plan in memory and in virtual time: the real skeleton, the real engine, nothing of the world.

What AWS would do — walk the states, keep the journal's items, hold the tokens — is done here; what lies outside of that
has stand-ins (`stage`). Waits take no time: the clock jumps to the next thing that happens.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final, cast

from shared.aws.dynamo import Dynamo
from shared.aws.memory import MemoryClient, Table
from shared.cases.model import Case
from shared.clock import now_ms, told_by
from shared.errors import Problem
from shared.ids import new_id, ulid
from shared.runs.model import NodeRecord, Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from stepfunctions.engine.errors import TimeSlice
from stepfunctions.engine.payloads import Value
from stepfunctions.engine.segment import Engine
from stepfunctions.engine.world import NodeWorld
from stepfunctions.plan import Plan
from stepfunctions.recorded import read
from stepfunctions.rehearsal.stage import MemoryObjects, Stage, StageWorld
from stepfunctions.rehearsal.virtual import VirtualLoop
from stepfunctions.rehearsal.walker import StateError, Walker

MAX_CALLS: Final = 5_000  # of functions, in one run: what needs more would hardly come to its end
_EXECUTIONS: Final = 20  # a run is handed over to a new execution when the history of one is full


class GivenUp(Exception):
    """The run did not come to its end within what a rehearsal may take."""


@dataclass(frozen=True, slots=True)
class Played:
    """A run that was rehearsed. `output` is its final output, `records` what it has recorded by (scope, node).

    `problems` keep the case from being judged by the run alone. `seconds` passed for the run, not for those who wait.
    """

    run: Run
    output: Any
    records: Mapping[tuple[str, str], NodeRecord]
    values: Mapping[tuple[str, str], Mapping[str, Any]]
    problems: tuple[Problem, ...]
    asked: tuple[Mapping[str, Any], ...]
    seconds: float


class _Time:
    """The clock of one rehearsal; `until` is when its real time is over (`time.monotonic`)."""

    def __init__(self, start_ms: int, until: float) -> None:
        self.now = 0.0
        self.until = until
        self._start_ms = start_ms

    def now_ms(self) -> int:
        return self._start_ms + round(self.now * 1000)

    def pass_time(self, loop: VirtualLoop, timeout: float | None) -> None:
        del loop
        if time.monotonic() > self.until:
            raise GivenUp("the time that a test may take is over")
        if timeout is None:
            raise GivenUp("the run waits for something that never happens")
        self.now += max(0.0, timeout)


class _States(Walker):
    """The state machine of one run, whose functions are the engine's calls."""

    def __init__(self, tenant: Tenant, plan: Plan, case: Case, clock: _Time) -> None:
        super().__init__()
        self._tenant = tenant
        self._plan = plan
        self._clock = clock
        self._called = 0
        self.objects = MemoryObjects()
        self.stage = Stage(plan, case, self.objects, lambda token: self.succeed(token, None))
        self.runs = RunStore(TenantTable(tenant, Dynamo(MemoryClient(Table()), "memory")))

    async def invoke(self, function: str, event: Any) -> Any:
        """One call of the runner or of the tasks function."""
        del function  # whichever it is, the engine is in this process
        self._called += 1
        if self._called > MAX_CALLS:
            raise _Over(f"the run takes more than {MAX_CALLS:,} calls of functions")
        run, left = event["run"], self._clock
        engine = Engine(
            runs=self.runs,
            desk=self.stage,
            objects=self.objects,
            new_world=lambda: cast(NodeWorld, StageWorld(self.stage)),
            remaining=lambda: inf if time.monotonic() < left.until else 0.0,
            owner=ulid(),
            attempt=run.get("attempt"),
        )
        at = tuple(int(number) for number in run["at"].split("/")) if run.get("at") else ()
        try:
            if "turn" in event:
                broken = bool(run.get("broken"))
                return await engine.turn(self._plan, run["execution"], event["turn"], at, broken=broken)
            if "segment" in event:
                return await engine.segment(self._plan, run["execution"], event["segment"], at)
            if not await engine.question(self._plan, run["execution"], event["question"], event["token"], at):
                self.succeed(event["token"], None)
        except TimeSlice:
            raise _Over("the time that a test may take is over") from None
        return None

    async def through(self, run: Run) -> Run:
        """The run's executions, one after the other, until it has ended."""
        self.runs.create(run)
        timeouts = [q.timeout_seconds for q in self._plan.questions]
        for _ in range(_EXECUTIONS):
            begun = self.runs.get(run.id)
            envelope = {"tenant": self._tenant.id, "execution": run.id, "attempt": begun.attempt, "plan": run.plan}
            said = "the state machine ended before the run had"
            try:
                await self.walk(begun.execution_name, self._plan.skeleton, {**envelope, "timeouts": timeouts})
            except StateError as error:
                said = f"the state machine failed ({error.name})"
            except TimeoutError:
                said = "the run took longer than its workflow allows"
            ended = self.runs.get(run.id)
            if ended.ended:
                return ended
            if ended.attempt == begun.attempt:
                kind = "Timeout" if said.startswith("the run took") else "Internal"
                failure = {"node_id": None, "error": kind, "message": said}
                return self.runs.close(run.id, "failed", error=failure) or self.runs.get(run.id)
        raise GivenUp("the run goes on in ever new executions")


class _Over(BaseException):
    """Passes through everything that catches errors of nodes and states."""


def play(tenant: Tenant, plan: Plan, case: Case, trigger_node: str | None, start_ms: int, until: float) -> Played:
    """Run a plan as the case says, until `until` (`time.monotonic`) at most.

    Call it on a thread of its own (see `stepfunctions.rehearsal.rehearse`). Raises GivenUp.
    """
    clock = _Time(start_ms, until)
    loop = VirtualLoop(clock)
    with told_by(clock.now_ms):
        states = _States(tenant, plan, case, clock)
        run = _run(plan, trigger_node, Value(case.trigger_data).store(states.objects))
        try:
            ended = loop.run_until_complete(states.through(run))
        except _Over as over:
            raise GivenUp(str(over)) from None
        finally:
            clock.until = inf  # what was begun comes to its end
            loop.stop_all()
            loop.close()
    found = read(states.runs, run.id, plan)
    records = {**found.packed, **{place: record for place, (record, _) in found.own.items()}}
    return Played(
        run=ended,
        output=None if ended.final_output is None else _value(ended.final_output, states.objects),
        records=records,
        values={
            place: {port: _value(stored, states.objects) for port, stored in record.outputs.items()}
            for place, record in records.items()
        },
        problems=tuple(states.stage.problems),
        asked=tuple(states.stage.asked),
        seconds=round(clock.now, 3),
    )


def _value(stored: Mapping[str, Any], objects: MemoryObjects) -> Any:
    return Value(encoded=stored, objects=objects).get()


def _run(plan: Plan, trigger_node: str | None, trigger: Mapping[str, Any]) -> Run:
    now = now_ms()
    return Run(
        id=new_id("ex"),
        workflow_id=plan.workflow_id,
        version=plan.version,
        plan=plan.digest,
        machine=plan.machine,
        status="pending",
        trigger_node=trigger_node,
        trigger=trigger,
        triggered_by={"kind": "test", "id": None, "user": None},
        created_at=now,
        deadline=now + plan.timeout_seconds * 1000,
    )
