"""Agents whose calls are killed at every boundary there is: what is recorded is neither paid nor done again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

import pytest

from shared.ids import ulid
from shared.runs.model import Run
from shared.store.table import TenantTable
from shared.tasks.service import TaskService
from shared.tenancy import Principal
from shared.threads.store import ThreadStore
from stepfunctions import calls
from stepfunctions.engine.errors import TimeSlice
from tests.stepfunctions.agents import Model, tool, workflow
from tests.stepfunctions.engine.conftest import Bench
from tests.stepfunctions.engine.faults import Killed, Moment, Service, Strike, Time, Wire
from tests.stepfunctions.engine.test_opened_faults import short_life

T = TypeVar("T")
FINAL = ("completed", "failed", "skipped")
moments = pytest.mark.parametrize("moment", ["before", "after"])


class Struck:
    """Makes calls, each again after it was killed; what was recorded then."""

    def __init__(self, bench: Bench, wire: Wire, time_: Time, run: Run) -> None:
        self.bench, self.wire, self.time, self.run = bench, wire, time_, run
        self.recorded: set[tuple[str, str]] | None = None

    def __call__(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except Killed:
            self.wire.reset()
            self.recorded = {key for key, r in self.bench.records(self.run).items() if r.status in FINAL}
            self.time.pass_lease()
            return work()


def check(struck: Struck, model: Model, remote: Service, calls_at: list[tuple[str, str]], at: int) -> None:
    bench, run = struck.bench, struck.run
    again = [key for key, times in model.paid.items() if times > 1]
    assert sorted(step for _, _, step in model.paid) == list(range(len(model.scripts["m"])))
    assert len(again) <= 1, at
    recorded = struck.recorded or set()
    for (_, _, step), times in model.paid.items():
        # Who is killed between the answer and its record has paid: nobody can know. What is recorded is not paid again.
        known = struck.recorded is None or (f"clerk/{step}", "clerk.model") in recorded
        assert times == 1 if known else times <= 2, at
    for scope, name in calls_at:
        done = remote.done(run.id, scope, name)
        assert done == 1 if (scope, name) in recorded else 1 <= done <= 2, at
    record = bench.records(run)["", "clerk"]
    assert bench.value(record.outputs["output"]) == "Done."
    assert len(bench.value(record.outputs["tool_calls"])) == len(calls_at)
    assert [m["content"] for m in ThreadStore(TenantTable(bench.tenant)).history(f"t{at}", 9)] == ["Go.", "Done."], at
    model.paid.clear()


@moments
def test_within_a_call(bench: Bench, remote: Service, wire: Wire, time_: Time, model: Model, moment: Moment):
    tool(bench.tenant, "look", remote.base)
    model.scripts["m"] = [[("look", {"n": 1}), ("look", {"n": 2})], "Done."]
    places = [("clerk/0/clerk.tools/0", "clerk.call"), ("clerk/0/clerk.tools/1", "clerk.call")]
    for at in count():
        made = workflow(tools=["look"], approval="never", fields={"inputs": {"thread_id": f"t{at}"}})
        struck = Struck(bench, wire, time_, bench.start(made, "Go."))
        run = struck.run
        wire.reset(Strike(at, moment))
        struck(lambda run=run: None if bench.get(run).ended else bench.call(run))
        wire.reset()
        check(struck, model, remote, places, at)
        if struck.recorded is None:
            assert at > 20
            return


@moments
def test_from_turn_to_turn(bench: Bench, remote: Service, wire: Wire, time_: Time, model: Model, moment: Moment):
    """Every call of a tool waits for a person. A run makes some 85 calls of AWS: every twelfth is struck here."""
    tool(bench.tenant, "look", remote.base)
    model.scripts["m"] = [[("look", {"n": 1})], "Done."]
    places = [("clerk/0/clerk.approvals/0", "clerk.approved")]
    for at in count(0 if moment == "before" else 6, 12):
        made = workflow(tools=["look"], approval="always", fields={"inputs": {"thread_id": f"t{at}"}})
        struck = Struck(bench, wire, time_, bench.start(made, "Go."))
        (approved,) = (s.id for s in bench.plan(struck.run).segments if "clerk.approved" in s.nodes)
        wire.reset(Strike(at, moment))
        through(struck, approved)
        wire.reset()
        check(struck, model, remote, places, at)
        if struck.recorded is None:
            assert at > 60
            return


def through(struck: Struck, approved: int) -> None:
    """The calls that the state machine makes."""
    bench, run = struck.bench, struck.run
    place = ""
    while True:
        turn = struck(lambda place=place: bench.turn(run, 0, at=place))["turn"]
        if not turn["go"]:
            return
        place = turn["at"]
        while (inner := struck(lambda place=place: bench.turn(run, 1, at=place))["turn"])["go"]:
            for item in inner["items"]:
                struck(lambda item=item: ask(bench, run, item))
                allow(bench, run, struck.wire)
                struck(lambda item=item: bench.call(run, approved, at=item))


def ask(bench: Bench, run: Run, at: str) -> None:
    event: dict[str, Any] = {"run": bench.envelope(run, at), "question": 0, "token": f"token {at}"}
    calls.token_call(event, owner=ulid(), remaining=lambda: 300.0)


def allow(bench: Bench, run: Run, wire: Wire) -> None:
    """Somebody answers. This is no call of the run's: nothing strikes it, and it does not count."""
    strike, made = wire.strike, list(wire.made)
    wire.strike = None
    somebody = Principal(bench.tenant, "user", "us_1", "owner", user_id="us_1")
    for task in TaskService(bench.tenant).open_tasks(run.id):
        TaskService(bench.tenant).complete(somebody, task.id, "approve")
    wire.strike, wire.made = strike, made


def test_the_time_of_a_call_is_over_again_and_again(bench: Bench, model: Model):
    model.scripts["m"] = [[("calculate", {"expression": "1"})], [("calculate", {"expression": "2"})], "Done."]
    run, often = bench.start(workflow(tools=["calculate"], approval="never"), "Go."), 0
    while not bench.get(run).ended:
        with contextlib.suppress(TimeSlice):
            often += 1
            bench.call(run, remaining=short_life())
    assert (bench.output(run), set(model.paid.values())) == ("Done.", {1})
    assert often > 3
