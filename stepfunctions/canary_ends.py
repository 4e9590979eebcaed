"""The ends of a canary's runs: counted, and the canary withdrawn when too many of them failed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from shared.aws.dynamo import Item
from shared.canaries.model import Canary, CanaryState, Count
from shared.canaries.store import CanaryStore
from shared.clock import now_ms
from shared.errors import AppError, NotFound
from shared.log import logger
from shared.notifications.service import tell
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.workflows.record import Workflow
from shared.workflows.store import WorkflowStore

_COUNTED: Final = ("completed", "failed")  # a run that somebody cancelled says nothing of its version


def run_ended(tenant: Tenant, execution_id: str, run: Item) -> None:
    """A run has ended, as its item says: count it if it was a canary's. Doing it again changes nothing."""
    canary_id = run.get("canary")
    if canary_id is None or run.get("status") not in _COUNTED:
        return
    table = TenantTable(tenant)
    try:
        workflow = WorkflowStore(table).get(run["workflow_id"])
        canary = CanaryStore(table).last(workflow)
    except NotFound:  # the workflow was deleted
        return
    if canary.id != canary_id or canary.state != "active":
        return
    window, failed = window_at(canary, run["completed_at"]), run["status"] == "failed"
    count = CanaryStore(table).count(workflow.id, canary.id, execution_id, failed=failed, window=window)
    if count.runs >= canary.min_runs and count.failed / count.runs > canary.max_failure_rate:
        _withdraw(tenant, workflow, canary, count, execution_id)


def _withdraw(tenant: Tenant, workflow: Workflow, canary: Canary, count: Count, execution_id: str) -> None:
    reason = (
        f"{count.failed} of {count.runs} runs of version {canary.version} failed within "
        f"{canary.window_seconds} seconds; at most {canary.max_failure_rate:.0%} may"
    )
    if not CanaryStore(TenantTable(tenant)).end(workflow.id, ended_as(canary, "withdrawn", None, reason)):
        return
    facts: Mapping[str, Any] = {"tenant_id": tenant.id, "workflow_id": workflow.id, "version": canary.version}
    logger("stream").warning("canary_withdrawn", **facts, runs=count.runs, failed=count.failed)
    title = f"The canary of {workflow.name[:100]} was withdrawn"
    with suppress(AppError):  # whoever started it may be gone; the canary's record says why it ended
        tell(tenant, [canary.started_by], title, reason, key=canary.id, execution_id=execution_id)


def ended_as(canary: Canary, state: CanaryState, who: str | None, reason: str) -> Canary:
    """The canary as it is kept once it has ended."""
    after = replace(canary, state=state, ended_at=now_ms(), ended_by=who, reason=reason)
    return replace(after, revision=canary.revision + 1)


def window_at(canary: Canary, at_ms: int) -> int:
    """The number of the window in which a moment lies."""
    return max(0, at_ms - canary.started_at) // (canary.window_seconds * 1000)
