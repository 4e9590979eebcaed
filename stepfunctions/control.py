"""What people do to runs: pause, resume, cancel, retry. Each may be done twice, and at any moment."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from shared.aws import kms, states
from shared.errors import Conflict, Unavailable
from shared.runs.model import NodeRecord, Run
from shared.runs.store import RunStore
from shared.store.keys import journal_prefix
from shared.store.table import TenantTable
from shared.tasks.service import TaskService
from shared.tenancy import Tenant
from stepfunctions import plans
from stepfunctions.engine.journal import records_of
from stepfunctions.plan import Plan
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


def park(tenant: Tenant, execution_id: str, state: str, token: str) -> None:
    """A state machine has come to rest: keep the token with which it goes on, or use it if it is to go on already."""
    runs = _runs(tenant)
    sealed = kms.encrypt(tenant, token.encode(), execution=execution_id)
    runs.park(execution_id, state, sealed)
    # Looked at after the token is kept: whoever resumes clears the flag first and reads the tokens second.
    if runs.rest(execution_id, "requested", if_asked=True) is None:
        states.send_success(token)
        runs.unpark(execution_id, state, sealed)


def cancel(tenant: Tenant, execution_id: str) -> Run:
    """End a run now. Raises NotFound; Conflict when it has ended."""
    runs = _runs(tenant)
    run = runs.close(execution_id, "cancelled")
    found = run or runs.get(execution_id)
    if found.status == "cancelled":  # also where it was already: an earlier cancel may not have come this far
        states.stop_execution(found.machine, found.execution_name)
        TaskService(tenant).withdraw(execution_id)
    if run is None:
        raise Conflict(f"execution {execution_id} is {found.status}", code="run_ended")
    return run


def retry(tenant: Tenant, execution_id: str) -> Run:
    """Go on with a failed or cancelled run where it stopped, keeping everything recorded.

    Raises NotFound; Conflict when it is not failed or cancelled, or somebody else retries it.
    """
    runs = _runs(tenant)
    run = runs.get(execution_id)
    if run.status not in ("failed", "cancelled"):
        raise Conflict(f"execution {execution_id} is {run.status}; only a failed run can be retried", code="not_failed")
    plan = plans.load(tenant, run.plan)
    items = [i for i in runs.journal(execution_id, journal_prefix("")[:2]) if "pack" not in i]
    records = {(r.scope, r.node): r for i in items for r in records_of(i)}
    answerable = TaskService(tenant).answerable(execution_id)
    for item in items:
        (record,) = records_of(item)
        if _starts_anew(plan, records, record, answerable):
            runs.reset_node(execution_id, record, item)
    for state, sealed in runs.parked(execution_id):
        runs.unpark(execution_id, state, sealed)  # nobody waits with these any more
    again = runs.reopen(run)
    if again is None:
        raise Conflict(f"execution {execution_id} is being retried already", code="not_failed")
    with suppress(Unavailable):  # the run is open again: the sweeper launches what could not be launched now
        launch(tenant, again, tuple(q.timeout_seconds for q in plan.questions))
    return again


def _starts_anew(
    plan: Plan, records: Mapping[tuple[str, str], NodeRecord], record: NodeRecord, answerable: frozenset[str]
) -> bool:
    """Whether a retry takes this record back: a failure that ended its scope, a question that nobody can answer.

    What was in flight keeps its lease — its call may still be running, and if not, the lease runs out. A failure that
    the loop around it put up with, or that lies in a loop which is over, is part of what is kept.
    """
    if record.status == "paused":
        return record.task is not None and record.task not in answerable
    if record.handled or record.status != "failed":
        return False
    if not record.scope:
        return True
    outer, loop = record.scope.rsplit("/", 1)[0].rpartition("/")[::2]
    around = records.get((outer, loop))
    if around is None or plan.nodes[loop].config.get("on_item_error", "fail") != "fail":
        return False
    over = around.status in ("completed", "skipped", "failed")
    return not over or _starts_anew(plan, records, around, answerable)
