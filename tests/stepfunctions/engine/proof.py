"""Runs documents as AWS would, in virtual time and in memory, while things go wrong as asked, and compares what comes
of them with the reference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest

from shared.aws.clients import client
from shared.aws.memory import Table
from shared.errors import Conflict
from shared.ids import ulid
from shared.nodes import registry
from shared.runs.model import NodeRecord, Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tasks.service import TaskService
from shared.tenancy import Principal, Tenant, new_tenant
from shared.workflows.model import Document
from stepfunctions import calls, control, plans, recorded
from stepfunctions import publish as publishing
from stepfunctions.compiler.compile import compile_document
from stepfunctions.engine.payloads import Value
from stepfunctions.start import payload_objects, start
from tests.stepfunctions.engine.faults import Killed, Strike
from tests.stepfunctions.engine.memory import Keys, Objects
from tests.stepfunctions.engine.reference import ANY, OneOf, Played, Reference, answer_to
from tests.stepfunctions.engine.virtual import World
from tests.stepfunctions.engine.walker import Walker

BY = {"kind": "test", "id": None, "user": None}
SETTLED = ("completed", "skipped", "failed")


@dataclass(frozen=True)
class Course:
    """How a run is run. `pauses`: at which request to AWS somebody pauses it, and how many seconds later resumes it.
    `life`: the seconds of a call. `without`: optimisations that are left out. `retried`: once more, when it has failed.
    """

    granularity: str = "segment"
    pauses: tuple[tuple[int, float], ...] = ()
    strike: Strike | None = None
    life: float = 300.0
    without: Collection[str] = ()
    retried: bool = False

    def scaled(self, requests: int) -> Course:
        """The same, with its requests counted in thousandths of these."""
        strike = self.strike and replace(self.strike, at=self.strike.at * requests // 1000)
        return replace(self, strike=strike, pauses=tuple((at * requests // 1000, s) for at, s in self.pauses))


@dataclass
class Proof:
    """One tenant, one run at a time."""

    world: World
    tenant: Tenant = field(default_factory=new_tenant)

    def __post_init__(self) -> None:
        self.table = Table()
        self.walker = Walker(self.world, {"runner": self._segment, "tasks": self._token})
        self._services: Mapping[str, Any] = {
            "dynamodb": self.table, "s3": Objects(), "kms": Keys(), "stepfunctions": self.walker
        }  # fmt: skip
        self._forget(Course())

    def _forget(self, course: Course) -> None:
        self.course = course
        self.run_id = ""
        self.faults: list[BaseException] = []
        self.requests = 0
        self._asked: set[str] = set()
        self._timers: list[Any] = []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand where botocore would send its requests."""
        for name, service in self._services.items():
            monkeypatch.setattr(client(name), "_make_api_call", partial(self._request, service))
        known = registry.names() | {"flaky": "tests.stepfunctions.engine.flaky"}
        monkeypatch.setattr(registry, "names", lambda: known)
        registry.find.cache_clear()  # another test may have asked for a type of that name, in vain
        monkeypatch.setattr(publishing, "_known", set())
        monkeypatch.setattr("stepfunctions.engine.control._LOOK_SECONDS", 0)
        self.world.install(monkeypatch)

    @property
    def store(self) -> RunStore:
        return RunStore(TenantTable(self.tenant))

    # --- running --------------------------------------------------------------------------------------------------

    def run(self, doc: Any, node: str, trigger: Any, seed: int, course: Course) -> Run:
        """The run, when it has ended and nothing of it is under way any more."""
        self._forget(course)
        plans._cache.clear()  # every process begins without
        document = Document.model_validate(doc | {"settings": doc["settings"] | {"granularity": course.granularity}})
        return self.world.run(seed, self._through(document, node, trigger))

    def again(self, run: Run, seed: int) -> Run:
        """A failed run, retried, when it has ended again."""
        return self.world.run(seed, self._retried(run))

    async def _through(self, document: Document, node: str, trigger: Any) -> Run:
        with pytest.MonkeyPatch.context() as patched:
            if self.course.without:
                left_out = partial(compile_document, without=self.course.without)
                patched.setattr(publishing, "compile_document", left_out)
            published = publishing.publish(self.tenant, document, 1)
        run = start(self.tenant, published, trigger_node=node, trigger_data=trigger, triggered_by=BY)
        self.run_id = run.id
        return await self._ended(run)

    async def _retried(self, run: Run) -> Run:
        return await self._ended(control.retry(self.tenant, run.id))

    async def _ended(self, run: Run) -> Run:
        execution = self.walker.executions[run.execution_name]
        await execution.task
        while self.world.busy:  # calls of branches that were stopped
            await asyncio.sleep(1)
        for timer in self._timers:
            timer.cancel()
        ended = self.store.get(run.id)
        assert ended.ended, f"the execution {execution.status} {execution.error}, the run {ended.status}: {self.faults}"
        return ended

    def records(self, run: Run) -> dict[tuple[str, str], NodeRecord]:
        """By scope and node."""
        found = recorded.read(self.store, run.id, plans.load(self.tenant, run.plan))
        return {**found.packed, **{place: record for place, (record, _) in found.own.items()}}

    def value(self, stored: Any) -> Any:
        return None if stored is None else Value(encoded=stored, objects=payload_objects(self.tenant)).get()

    # --- what the functions do, and what becomes of their requests --------------------------------------------------

    def _segment(self, event: Any) -> Any:
        return self._called(partial(calls.segment_call, event))

    def _token(self, event: Any) -> Any:
        try:
            return self._called(partial(calls.token_call, event))
        finally:
            self.world.main.call_soon(self._look)

    def _called(self, work: Callable[..., Any]) -> Any:
        ends = self.world.now + self.course.life
        try:
            return work(owner=ulid(), remaining=lambda: ends - self.world.now)
        except BaseException as error:  # noted and raised again: what is none of the engine's own errors is a fault
            if type(error).__module__ != "stepfunctions.engine.errors" and not isinstance(error, Killed):
                self.faults.append(error)
            raise

    def _request(self, service: Any, operation: str, arguments: Mapping[str, Any]) -> Any:
        call = self.world.current()
        if call is None:
            return service.call(operation, arguments)
        if call.dead:
            raise Killed
        number, strike = self.requests, self.course.strike
        self.requests += 1
        for at, seconds in self.course.pauses:
            if at == number:
                self.world.main.call_soon(self._pause, seconds)
        struck = strike is not None and strike.at == number
        if struck and strike is not None and strike.moment == "before":
            call.dead = True
            raise Killed
        answer = service.call(operation, arguments)
        if struck:
            call.dead = True
            raise Killed
        return answer

    # --- what people do -------------------------------------------------------------------------------------------

    def _later(self, seconds: float, what: Callable[..., Any], *arguments: Any) -> None:
        self._timers.append(self.world.main.call_later(seconds, what, *arguments))

    def _pause(self, seconds: float) -> None:
        with suppress(Conflict):  # it has ended
            control.pause(self.tenant, self.run_id)
            self._later(seconds, self._resume)

    def _resume(self) -> None:
        with suppress(Conflict):
            control.resume(self.tenant, self.run_id)

    def _look(self) -> None:
        """Somebody looks into the inbox, and sets to work on what is new."""
        for task in TaskService(self.tenant).open_tasks(self.run_id):
            decision = answer_to(task.node_id)
            if task.id not in self._asked and decision != "lapse":
                self._later(self.world.chance.choice((0.0, 0.01, 1.0, 50.0)), self._answer, task.id, decision)
            self._asked.add(task.id)

    def _answer(self, task_id: str, decision: str) -> None:
        somebody = Principal(self.tenant, "user", "us_somebody", "owner", user_id="us_somebody")
        try:
            TaskService(self.tenant).complete(somebody, task_id, decision, {"k": 1})
        except Conflict:
            assert self.store.get(self.run_id).ended


# --- comparing ----------------------------------------------------------------------------------------------------


def fits(expected: Any, found: Any, crashed: bool) -> bool:
    """Whether a value is the expected one; after a crash, whatever number of attempts it took."""
    if expected is ANY:
        return True
    if isinstance(expected, OneOf):
        return found in expected.names
    if isinstance(expected, dict) and isinstance(found, dict):
        loose = {"attempts"} if crashed and expected.keys() == {"node_id", "error", "message", "attempts"} else set()
        return expected.keys() == found.keys() and all(
            k in loose or fits(v, found[k], crashed) for k, v in expected.items()
        )
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(fits(e, f, crashed) for e, f in zip(expected, found, strict=True))
    return type(expected) is type(found) and bool(expected == found)


@dataclass
class Comparison:
    """A run beside the reference."""

    proof: Proof
    reference: Reference
    run: Run

    @property
    def crashed(self) -> bool:
        return self.proof.course.strike is not None

    def check(self) -> None:
        """Raise AssertionError where they differ."""
        self._counting = any(n["config"].get("across") for n in self.reference.doc["nodes"])
        run, whole = self.run, self.reference.scopes[""]
        assert self.crashed or not self.proof.faults, self.proof.faults
        self.found: dict[str, dict[str, NodeRecord]] = {}
        for (scope, node), record in self.proof.records(run).items():
            self.found.setdefault(scope, {})[node] = record
        for path, played in self.reference.scopes.items():
            self._scope(path, played)
        if whole.fatal:
            assert run.status == "failed"
            assert run.error is not None
            assert run.error["error"] in whole.fatal.get(run.error["node_id"], ()), (run.error, whole.fatal)
        else:
            assert run.status == "completed", run.error
            output = self.proof.value(run.final_output)
            expected = self.reference.final_output
            assert fits(expected, output, self.crashed), f"final output {output!r}, not {expected!r}"

    def _scope(self, path: str, played: Played) -> None:
        found = self.found.get(path, {})
        if self._is_firm(played):
            statuses = {n: r.status for n, r in found.items()}
            assert statuses == played.status, f"in {path!r}: {statuses}, not {played.status}"
        for node, record in found.items():
            if record.status in SETTLED and not self._in_retry(played):
                assert record.status == played.status.get(node), (
                    f"{path!r} {node}: {record.status}, not {played.status}"
                )
                outputs = {port: self.proof.value(v) for port, v in record.outputs.items()}
                expected = played.outputs.get(node, {})
                assert fits(expected, outputs, self.crashed), f"{path!r} {node}: {outputs}, not {expected}"

    def _is_firm(self, played: Played) -> bool:
        """Whether every node of the scope came to its end, whatever the order of things."""
        if played.fatal or played.outer is None:
            return not played.fatal
        kind, status = self._around(played)
        complete = status == "completed" or kind["config"].get("max_concurrency", 1) == 1
        return complete and not self._in_retry(played) and self._is_firm(played.outer)

    def _around(self, played: Played) -> tuple[Any, str]:
        (container,) = (n for n in self.reference.doc["nodes"] if n["id"] == played.container)
        assert played.outer is not None
        return container, played.outer.status[container["id"]]

    def _in_retry(self, played: Played) -> bool:
        """Whether it is in a pass of a retry with a node in it that counts its calls: how many passes it takes is left
        open where nodes fail together, or a crash comes between.
        """
        if played.outer is None or not self._counting:
            return False
        container, _ = self._around(played)
        return container["type"] == "retry" or self._in_retry(played.outer)
