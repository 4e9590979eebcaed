"""Runs that begin on Express: nothing is lost, and nothing done twice, wherever such an execution ends."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from infrastructure.local.interpreter import Context, real_function
from shared.aws import states
from shared.aws.clients import client, patient_client
from shared.clock import now_ms
from shared.runs.model import NodeRecord, Run
from shared.runs.store import RunStore
from shared.settings import settings
from shared.store.table import TenantTable
from stepfunctions import control, start
from stepfunctions.compiler import express as skeletons
from stepfunctions.compiler.express import waiting
from stepfunctions.engine import journal
from stepfunctions.engine.boundary import EngineFault
from stepfunctions.engine.journal import Journal
from stepfunctions.publish import publish
from stepfunctions.reconcile import sweep
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.faults import Service
from tests.stepfunctions.engine.watch import comes_to, execution_ends, parked, wait_for
from tests.stepfunctions.scenarios import SCENARIOS
from tests.stepfunctions.short_runs import URL, plan_of, row


@pytest.fixture
def tiers(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> Machines:
    """Machines on which runs begin as the product has it."""
    monkeypatch.setenv("SW_EXPRESS", "")
    monkeypatch.setattr("stepfunctions.engine.control._LOOK_SECONDS", 0)
    settings.cache_clear()
    return machines


def standard(run: Run) -> dict[str, Any] | None:
    return states.describe_execution(run.machine, run.execution_name)


def due(machines: Machines, run: Run) -> None:
    machines.store.look_again(run.id, now_ms() - 1)


def counted(remote: Service, run: Run, names: str = "abc") -> dict[str, int]:
    return {n: remote.done(run.id, "", n) for n in names}


@pytest.mark.parametrize("granularity", ["segment", "node"])
def test_a_run_that_express_finishes_knows_no_other(tiers: Machines, remote: Service, granularity: str):
    published = tiers.publish(row(remote.base, granularity=granularity))
    assert published.express is not None
    described = client("stepfunctions").describe_state_machine(stateMachineArn=states.machine_arn(published.express))
    assert described["type"] == "EXPRESS"
    assert "${" not in described["definition"]
    run = tiers.start(row(remote.base, granularity=granularity))
    ended = tiers.until(run)
    assert (ended.status, tiers.value(ended.final_output)) == ("completed", 200)
    assert counted(remote, run) == {"a": 1, "b": 1, "c": 1}
    assert standard(run) is None


def test_it_is_waited_for(tiers: Machines, remote: Service):
    run = tiers.start(row(remote.base), wait_seconds=20)
    assert tiers.store.get(run.id).status == "completed"
    assert standard(run) is None


def test_but_not_longer_than_asked(tiers: Machines, remote: Service):
    gate = remote.hold("/b")
    began = time.monotonic()
    run = tiers.start(row(remote.base), wait_seconds=0.5)
    assert time.monotonic() - began < 5
    assert tiers.store.get(run.id).status == "running"
    gate.open.set()
    assert tiers.until(run).status == "completed"
    assert counted(remote, run) == {"a": 1, "b": 1, "c": 1}
    assert standard(run) is None


@pytest.mark.parametrize("arrives", [True, False])
def test_an_answer_that_is_lost(tiers: Machines, remote: Service, monkeypatch: pytest.MonkeyPatch, arrives: bool):
    """Nobody knows whether the execution was started: who waits looks at the run, the sweeper at what did not."""
    waiting_client = patient_client("stepfunctions")
    call = waiting_client._make_api_call

    def broken(operation: str, arguments: Any) -> Any:
        if arrives:
            call(operation, arguments)
        raise ReadTimeoutError(endpoint_url=operation)

    monkeypatch.setattr(waiting_client, "_make_api_call", broken)
    run = tiers.start(row(remote.base), wait_seconds=20)
    assert tiers.store.get(run.id).status == ("completed" if arrives else "pending")
    due(tiers, run)
    assert sweep(lambda: 60.0) == ({} if arrives else {"launched": 1})
    assert tiers.until(run).status == "completed"
    assert counted(remote, run) == {"a": 1, "b": 1, "c": 1}


def test_two_executions_at_once_do_each_thing_once(tiers: Machines, remote: Service):
    gate = remote.hold("/a")
    run = tiers.start(row(remote.base, idempotent=False))
    assert gate.arrived.wait(20)
    published = tiers.publish(row(remote.base, idempotent=False))
    envelope = {"tenant": tiers.tenant.id, "execution": run.id, "plan": run.plan, "timeouts": []}
    before = len(tiers.functions.calls)
    assert published.express is not None
    states.run_express(published.express, run.execution_name, envelope, 0)
    wait_for(lambda: len(tiers.functions.calls) > before + 1, "the second is busy, and tries again")
    gate.open.set()
    assert tiers.until(run).status == "completed"
    assert counted(remote, run) == {"a": 1, "b": 1, "c": 1}
    assert {r.attempts for r in tiers.records(run).values()} == {1}
    wait_for(lambda: _over(published.express, run), "both have ended")
    assert standard(run) is None


def test_a_failure_ends_it(tiers: Machines, remote: Service):
    remote.fail("/b")
    run = tiers.start(row(remote.base), wait_seconds=20)
    failed = tiers.store.get(run.id)
    assert (failed.status, failed.error and failed.error["node_id"]) == ("failed", "b")
    assert standard(run) is None
    control.retry(tiers.tenant, run.id)  # the next attempt is a Standard execution
    ended = tiers.until(run)
    assert (ended.status, ended.attempt) == ("completed", 1)
    assert counted(remote, run) == {"a": 1, "b": 2, "c": 1}
    assert standard(ended) is not None


def test_a_pause_rests_on_standard(tiers: Machines, remote: Service):
    gate = remote.hold("/a")
    run = tiers.start(row(remote.base))
    assert gate.arrived.wait(20)
    control.pause(tiers.tenant, run.id)
    gate.open.set()
    comes_to(tiers, run, "paused", "requested")
    assert (len(parked(tiers, run)), counted(remote, run)) == (1, {"a": 1, "b": 0, "c": 0})
    control.resume(tiers.tenant, run.id)
    assert tiers.until(run).status == "completed"
    assert counted(remote, run) == {"a": 1, "b": 1, "c": 1}
    assert execution_ends(tiers, run) == "SUCCEEDED"


def test_a_cancelled_run_goes_nowhere(tiers: Machines, remote: Service):
    gate = remote.hold("/a")
    run = tiers.start(row(remote.base))
    assert gate.arrived.wait(20)
    control.cancel(tiers.tenant, run.id)
    gate.open.set()
    published = tiers.publish(row(remote.base))
    assert published.express is not None
    wait_for(lambda: _over(published.express, run), "the Express execution ends")
    assert (tiers.store.get(run.id).status, counted(remote, run)["b"], standard(run)) == ("cancelled", 0, None)


def _over(machine: str, run: Run) -> bool:
    """Whether the run's Express executions have ended, as moto lists them; AWS does not."""
    listed = client("stepfunctions").list_executions(stateMachineArn=states.machine_arn(machine))["executions"]
    return {e["status"] for e in listed if e["name"] == run.execution_name} <= {"SUCCEEDED", "FAILED"}


def test_what_is_too_long_goes_on_as_standard(tiers: Machines, remote: Service, monkeypatch: pytest.MonkeyPatch):
    """The time that Express leaves its calls is over at once: one node, and TimeSlice."""
    monkeypatch.setattr(skeletons, "_WORK_SECONDS", 0)
    run = tiers.start(row(remote.base))
    assert tiers.until(run).status == "completed"
    assert execution_ends(tiers, run) == "SUCCEEDED"
    assert counted(remote, run) == {"a": 1, "b": 1, "c": 1}
    calls = [event for name, event in tiers.functions.calls if name == "runner"]
    assert ["within" in event for event in calls] == [True, False]


def test_what_a_call_does_not_finish_in_time_goes_on_as_standard(
    tiers: Machines,
    remote: Service,
    monkeypatch: pytest.MonkeyPatch,
):
    """The state gives up on its call, which goes on all the same: Standard waits for what it has in flight."""
    monkeypatch.setattr(skeletons, "_CALL_SECONDS", 1)
    gate = remote.hold("/b")
    run = tiers.start(row(remote.base, idempotent=False))
    wait_for(lambda: standard(run) is not None, "it is handed over")
    gate.open.set()
    assert tiers.until(run).status == "completed"
    assert counted(remote, run) == {"a": 1, "b": 1, "c": 1}
    assert execution_ends(tiers, run) == "FAILED"  # it found the run ended


def test_faults_that_do_not_end_go_on_as_standard(tiers: Machines, remote: Service):
    real, faults = real_function("runner"), [RuntimeError("the process died")] * 3

    def runner(event: dict[str, Any], context: Any) -> Any:
        if faults:
            raise faults.pop()
        return real(event, context)

    tiers.functions.handlers["runner"] = runner
    run = tiers.start(row(remote.base))
    assert tiers.until(run).status == "completed"
    assert execution_ends(tiers, run) == "SUCCEEDED"
    assert counted(remote, run) == {"a": 1, "b": 1, "c": 1}


def test_what_a_dead_call_holds_is_waited_for_on_standard(
    tiers: Machines,
    remote: Service,
    monkeypatch: pytest.MonkeyPatch,
):
    """A call dies with a node in hand. Express is busy as long as it tries; what outlasts it is Standard."""
    monkeypatch.setattr(journal, "LEASE_MS", 4_000)
    busy, *others = skeletons._RETRY
    monkeypatch.setattr(skeletons, "_RETRY", ({**busy, "IntervalSeconds": 1, "MaxAttempts": 1}, *others))
    real, dying = real_function("runner"), [True]

    def runner(event: dict[str, Any], context: Any) -> Any:
        if dying:
            dying.clear()
            store = RunStore(TenantTable(tiers.tenant))
            store.begin(event["run"]["execution"])
            Journal(store, event["run"]["execution"], "dead").claim(NodeRecord("a", "", "running", started_at=1))
            raise RuntimeError("the process died")
        return real(event, context)

    tiers.functions.handlers["runner"] = runner
    run = tiers.start(row(remote.base))
    assert tiers.until(run).status == "completed"
    assert execution_ends(tiers, run) == "SUCCEEDED"
    assert counted(remote, run) == {"a": 1, "b": 1, "c": 1}


def test_a_lost_execution_is_the_sweepers(tiers: Machines, remote: Service, monkeypatch: pytest.MonkeyPatch):
    """It began nothing, or ended without a word: no event tells, so the sweeper looks, and starts a Standard one."""
    with monkeypatch.context() as lost:
        lost.setattr(states, "run_express", lambda *_: None)
        run = tiers.start(row(remote.base))
    assert tiers.store.get(run.id).status == "pending"
    due(tiers, run)
    assert sweep(lambda: 60.0) == {"launched": 1}
    assert tiers.until(run).status == "completed"
    assert execution_ends(tiers, run) == "SUCCEEDED"


def test_one_that_took_longer_than_its_workflow_allows_has_failed(
    tiers: Machines,
    remote: Service,
    monkeypatch: pytest.MonkeyPatch,
):
    """Its machine has the workflow's own limit, and tells nobody when that is over: the sweeper does, at its look."""
    with monkeypatch.context() as lost:
        lost.setattr(states, "run_express", lambda *_: None)
        run = tiers.start(row(remote.base, timeout=1))
    wait_for(lambda: now_ms() > run.deadline, "its time is over")
    due(tiers, run)
    assert sweep(lambda: 60.0) == {"failed": 1}
    ended = tiers.store.get(run.id)
    assert (ended.status, ended.error and ended.error["error"], standard(run)) == ("failed", "Timeout", None)


def test_where_express_is_refused_standard_runs(tiers: Machines, remote: Service):
    for wait_seconds in (0, 10):
        published = replace(tiers.publish(row(remote.base)), express="express-gone")
        by = {"kind": "test", "id": None, "user": None}
        asked: dict[str, Any] = {"trigger_node": None, "trigger_data": None, "triggered_by": by}
        run = start.start(tiers.tenant, published, **asked, wait_seconds=wait_seconds)
        assert tiers.until(run).status == "completed"
        assert standard(run) is not None


def test_whoever_starts_it_again_starts_nothing_twice(tiers: Machines, remote: Service):
    gate = remote.hold("/a")
    run = tiers.start(row(remote.base), execution_id="ex_once")
    assert gate.arrived.wait(20)
    tiers.start(row(remote.base), execution_id="ex_once", wait_seconds=5)
    assert len(tiers.functions.calls) == 1
    gate.open.set()
    assert tiers.until(run).status == "completed"
    tiers.start(row(remote.base), execution_id="ex_once")
    assert len(tiers.functions.calls) == 1
    assert standard(run) is None


def test_it_can_be_turned_off(tiers: Machines, remote: Service, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SW_EXPRESS", "off")
    settings.cache_clear()
    run = tiers.start(row(remote.base), wait_seconds=20)  # which is for Express alone: whoever wants more looks
    assert tiers.until(run).status == "completed"
    assert standard(run) is not None


SHORT = [s for s in SCENARIOS if waiting(plan_of(s.at(URL)).skeleton) is None]


@pytest.mark.parametrize("scenario", SHORT, ids=lambda s: s.name)
def test_the_same_comes_of_it(scenario, tiers: Machines, http):
    """Every scenario that can, on Express."""
    made = scenario.at(http.base)
    made = made.model_copy(update={"settings": made.settings.model_copy(update={"timeout_seconds": 100})})
    assert publish(tiers.tenant, made, 1).express is not None
    ended = tiers.until(tiers.start(made, scenario.trigger, wait_seconds=20))
    assert (ended.status, ended.error and ended.error["error"]) == (scenario.status, scenario.error)
    if scenario.output is not None:
        assert tiers.value(ended.final_output) == scenario.output
    assert standard(ended) is None


@pytest.mark.parametrize("within", [{}, {"since": "soon", "seconds": 5}, {"since": "2026-01-01T00:00:00Z"}, 5])
def test_a_time_that_is_none_is_a_fault_of_the_call(
    tiers: Machines, remote: Service, monkeypatch: pytest.MonkeyPatch, within: Any
):
    monkeypatch.setattr(states, "run_express", lambda *_: None)
    run = tiers.start(row(remote.base))
    event = {"run": {"tenant": tiers.tenant.id, "execution": run.id, "plan": run.plan}, "segment": 0, "within": within}
    with pytest.raises(EngineFault):
        real_function("runner")(event, Context())
    assert counted(remote, run) == {"a": 0, "b": 0, "c": 0}
