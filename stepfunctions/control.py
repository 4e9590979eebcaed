"""What people do to runs: pause, resume, cancel, retry. Each may be done twice, and at any moment."""

from __future__ import annotations

from shared.aws import kms, states
from shared.errors import Conflict
from shared.runs.model import Run
from shared.runs.store import RunStore
from shared.store.keys import journal_prefix
from shared.store.table import TenantTable
from shared.tasks.service import TaskService
from shared.tenancy import Tenant
from stepfunctions import plans
from stepfunctions.engine.journal import records_of
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
    if not run.ended and run.control != "pause":
        raise Conflict(f"execution {execution_id} was not asked to pause", code="not_paused")
    run = _asked(tenant, execution_id, None)
    for state, token in runs.parked(execution_id):
        states.send_success(kms.decrypt(tenant, token, execution=execution_id).decode())
        runs.unpark(execution_id, state)
    return run


def _asked(tenant: Tenant, execution_id: str, control: str | None) -> Run:
    runs = _runs(tenant)
    run = runs.ask(execution_id, control)
    if run is None:
        ended = runs.get(execution_id)
        raise Conflict(f"execution {execution_id} is {ended.status}", code="run_ended")
    return run


def park(tenant: Tenant, execution_id: str, state: str, token: str) -> None:
    """A state machine has come to rest: keep the token with which it goes on, or use it if it is to go on already."""
    runs = _runs(tenant)
    runs.park(execution_id, state, kms.encrypt(tenant, token.encode(), execution=execution_id))
    # Looked at after the token is kept: whoever resumes clears the flag first and reads the tokens second.
    run = runs.get(execution_id)
    if run.control == "pause" and not run.ended:
        runs.rest(execution_id, "requested")
    else:
        states.send_success(token)
        runs.unpark(execution_id, state)


def cancel(tenant: Tenant, execution_id: str) -> Run:
    """End a run now. Raises NotFound; Conflict when it has ended."""
    runs = _runs(tenant)
    run = runs.close(execution_id, "cancelled")
    if run is None:
        ended = runs.get(execution_id)
        raise Conflict(f"execution {execution_id} is {ended.status}", code="run_ended")
    states.stop_execution(run.machine, run.execution_name)
    TaskService(tenant).withdraw(execution_id)
    return run


def retry(tenant: Tenant, execution_id: str) -> Run:
    """Go on with a failed or cancelled run where it stopped, keeping everything recorded.

    Raises NotFound; Conflict when it is not failed or cancelled, or somebody else retries it.
    """
    runs = _runs(tenant)
    run = runs.get(execution_id)
    if run.status not in ("failed", "cancelled"):
        raise Conflict(f"execution {execution_id} is {run.status}; only a failed run can be retried", code="not_failed")
    for item in runs.journal(execution_id, journal_prefix("")[:2]):
        if "pack" not in item:
            (record,) = records_of(item)
            if record.status in ("running", "cancelled", "paused") or not record.handled:
                runs.reset_node(execution_id, record)
    again = runs.reopen(run)
    if again is None:
        raise Conflict(f"execution {execution_id} is being retried already", code="not_failed")
    plan = plans.load(tenant, run.plan)
    launch(tenant, again, tuple(q.timeout_seconds for q in plan.questions))
    return again
