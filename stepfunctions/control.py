"""What people do to runs: pause, resume, cancel, retry. Each may be done twice, and at any moment.

Replay, which starts a run of its own, is in `stepfunctions.replay`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from shared.aws import kms, states
from shared.clock import now_ms
from shared.errors import Conflict, Unavailable
from shared.runs.model import Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tasks.service import TaskService
from shared.tenancy import Tenant
from shared.usage import service as usage
from stepfunctions import plans
from stepfunctions.ending import call_off, stop
from stepfunctions.plan import Plan
from stepfunctions.recorded import read
from stepfunctions.start import launch


def _runs(tenant: Tenant) -> RunStore:
    return RunStore(TenantTable(tenant))


def pause(tenant: Tenant, execution_id: str) -> Run:
    """Ask a run to rest at the next node boundary. Raises NotFound; Conflict when it has ended."""
    return _asked(tenant, execution_id, "pause")


def resume(tenant: Tenant, execution_id: str) -> Run:
    """Let a paused run go on. Raises NotFound; Conflict when it has ended or nobody asked it to rest."""
    runs = _runs(tenant)
    run = runs.get(execution_id)
    # States that are still parked although nobody wants it: an earlier resume did not get to them.
    if not run.ended and run.control != "pause" and not runs.parked(execution_id):
        raise Conflict(f"execution {execution_id} was not asked to pause", code="not_paused")
    run = _asked(tenant, execution_id, None)
    for state, sealed in runs.parked(execution_id):
        states.send_success(kms.decrypt(tenant, sealed, execution=execution_id).decode())
        runs.unpark(execution_id, state, sealed)
    return run


def _asked(tenant: Tenant, execution_id: str, control: str | None) -> Run:
    runs = _runs(tenant)
    run = runs.ask(execution_id, control)
    if run is None:
        ended = runs.get(execution_id)
        raise Conflict(f"execution {execution_id} is {ended.status}", code="run_ended")
    return run


def park(tenant: Tenant, execution_id: str, attempt: int, state: str, token: str) -> None:
    """A state machine has come to rest in this attempt: keep the token with which it goes on, or use it if it is to go
    on already.
    """
    runs = _runs(tenant)
    sealed = kms.encrypt(tenant, token.encode(), execution=execution_id)
    runs.park(execution_id, state, sealed, attempt)
    # Looked at after the token is kept: whoever resumes clears the flag first and reads the tokens second.
    if runs.rest(execution_id, "requested", if_asked=True) is None:
        states.send_success(token)
        runs.unpark(execution_id, state, sealed)


def cancel(tenant: Tenant, execution_id: str) -> Run:
    """End a run now, and the runs that it has started and waits for. Raises NotFound; Conflict when it has ended."""
    runs = _runs(tenant)
    run = runs.close(execution_id, "cancelled")
    found = run or runs.get(execution_id)
    if found.status == "cancelled":  # also where it was already: an earlier cancel may not have come this far
        stop(tenant, found)
    if run is None:
        raise Conflict(f"execution {execution_id} is {found.status}", code="run_ended")
    return run


def retry(tenant: Tenant, execution_id: str, budget: Mapping[str, int] | None = None) -> Run:
    """Go on with a failed or cancelled run where it stopped, keeping everything recorded; with another `budget` of the
    run's own, if one is given.

    Raises NotFound; Conflict when it is not failed or cancelled, or somebody else retries it; RateLimited. Under
    another version: `stepfunctions.newer`.
    """
    run = retriable(tenant, execution_id)
    run = run if budget is None else replace(run, budget=budget)
    runs, plan = _runs(tenant), plans.load(tenant, run.plan)
    recorded = read(runs, execution_id, plan, TaskService(tenant).answerable(execution_id))
    for record, item in recorded.inner_first():
        if recorded.starts_anew(record):
            runs.reset_node(execution_id, record, item)
    return reopen(tenant, run, plan)


def retriable(tenant: Tenant, execution_id: str) -> Run:
    """The run, if it is one to be retried; nobody and nothing is at work for it any more. Raises NotFound, Conflict."""
    run = _runs(tenant).get(execution_id)
    if run.status not in ("failed", "cancelled"):
        raise Conflict(
            f"execution {execution_id} is {run.status}; only a failed or cancelled run can be retried",
            code="not_failed",
        )
    call_off(tenant, run)
    return run


def reopen(tenant: Tenant, run: Run, plan: Plan) -> Run:
    """Start the next attempt of a run whose journal is ready for it; it has the plan's whole time. Raises Conflict if
    somebody else was first, RateLimited where there is no place for it.
    """
    runs = _runs(tenant)
    before = runs.parked(run.id)
    capped = plan.max_concurrency is not None
    child = run.parent is not None
    usage.reserve(tenant, run.id, run.workflow_id, most=plan.max_concurrency, again=True, child=child)
    again = runs.reopen(replace(run, capped=capped, deadline=now_ms() + plan.timeout_seconds * 1000))
    if again is None:  # whoever was first has the place, and gives it back
        raise Conflict(f"execution {run.id} is being retried already", code="not_failed")
    for state, sealed in before:
        runs.unpark(run.id, state, sealed)  # nobody waits with these any more
    with suppress(Unavailable):  # the run is open again: the sweeper launches what could not be launched now
        launch(tenant, again, tuple(q.timeout_seconds for q in plan.questions))
    return again
