"""What follows the end of a run: its tasks are withdrawn, its children cancelled, and who waits for it goes on.

A run may be closed by a runner, by a person, or by the sweeper; each time its execution ends too, and Step Functions
sends an event of that. So `reconcile.ended` is the one place that every ending comes to, in a function that may send
task tokens: runners may not. What makes up for a crash or an event that was lost is the link in the parent's partition:
it is written before the parent waits and stays among what the sweeper looks at until the end has been told. A cancel by
a person comes here at once. Doing any of this again changes nothing.
"""

from __future__ import annotations

from typing import Final

from shared.aws import kms, states
from shared.clock import now_ms
from shared.runs.model import Run
from shared.runs.store import CHILD_LOOK_MS, RunStore
from shared.store.table import TenantTable
from shared.tasks.service import TaskService
from shared.tenancy import Tenant

_RAREST_MS: Final = 3_600_000  # between two looks at a child that goes on
_CALL_MS: Final = 900_000  # no call of a function lasts longer (Lambda's limit)

# Why a child was cancelled: nobody waits for it any more. One that was cancelled for its own sake has no error.
PARENT_ENDED: Final = {
    "node_id": None,
    "error": "ParentEnded",
    "message": "the run that waited for this one has ended",
}
GIVEN_UP: Final = {
    "node_id": None,
    "error": "Timeout",
    "message": "the node that waited for this run waits no longer",
}


def wind_up(tenant: Tenant, run: Run) -> None:
    """See the module. `run` has ended, in the attempt that it says."""
    call_off(tenant, run)
    tell(tenant, run)


def call_off(tenant: Tenant, run: Run) -> None:
    """Withdraw what a run that has ended, in the attempt that it says, has asked of people and of other runs.

    Whoever retries the run does this first: so what is open afterwards is of a later attempt, and a late word of how
    this one ended leaves it alone.
    """
    TaskService(tenant).withdraw(run.id, run.completed_at or now_ms())
    runs = RunStore(TenantTable(tenant))
    for link in runs.waited_for(run.id):
        while (child := runs.find(link.child)) is not None and not child.ended:
            if runs.get(run.id).attempt != run.attempt:
                return
            closed = runs.close(child.id, "cancelled", error=PARENT_ENDED, attempt=child.attempt)
            if closed is not None:  # otherwise it has just ended, or goes on in its next execution
                stop(tenant, closed)


def stop(tenant: Tenant, run: Run) -> None:
    """End the execution of a run that is cancelled, and do what follows."""
    states.stop_execution(run.machine, run.execution_name)
    wind_up(tenant, run)


def tell(tenant: Tenant, run: Run) -> None:
    """Let the node go on that waits for this run, which has ended. A token that nobody waits with is no error."""
    if run.parent is None:
        return
    parent_id, runs = run.parent["execution_id"], RunStore(TenantTable(tenant))
    link = runs.linked(parent_id, run.id)
    if link is not None and link.token is not None and run.attempt >= link.since:
        states.send_success(unseal(tenant, parent_id, run.id, link.token))
        runs.told(parent_id, run.id, link.token)


def seal(tenant: Tenant, parent_id: str, child_id: str, token: str) -> bytes:
    """A task token as it is kept."""
    return kms.encrypt(tenant, token.encode(), execution=parent_id, child=child_id)


def unseal(tenant: Tenant, parent_id: str, child_id: str, sealed: bytes) -> str:
    """The task token."""
    return kms.decrypt(tenant, sealed, execution=parent_id, child=child_id).decode()


def look_at_child(tenant: Tenant, parent_id: str, child_id: str) -> str:
    """For the sweeper: what became of a child whose end has not been told; gives what was done, in a word."""
    runs = RunStore(TenantTable(tenant))
    link = runs.linked(parent_id, child_id)
    if link is None or link.token is None:
        return "told_already"
    age = now_ms() - link.at
    runs.look_at_child(parent_id, child_id, now_ms() + min(max(age // 2, CHILD_LOOK_MS), _RAREST_MS))
    child = runs.find(child_id)
    # Deleted, or whoever asked for it (or for its retry) died before that was done, and asks again if it is still
    # wanted.
    if child is None or (child.attempt < link.since and age > _CALL_MS):
        runs.told(parent_id, child_id, link.token)
        return "gone"
    if not child.ended and _over(runs, parent_id):
        child = runs.close(child_id, "cancelled", error=PARENT_ENDED, attempt=child.attempt) or child
    if not child.ended or child.attempt < link.since:
        return "goes_on"
    if child.status == "cancelled":
        stop(tenant, child)  # a node that did not want to wait any longer only closed it
    else:
        wind_up(tenant, child)
    return "told"


def _over(runs: RunStore, execution_id: str) -> bool:
    run = runs.find(execution_id)
    return run is None or run.ended
