"""Error workflows: a workflow that starts when a run of another fails, as that one's settings say.

The stream hears of the failure and puts it on the bus (`stepfunctions.announce`); the dispatcher starts the run. Both
may happen more than once: for each attempt of a run that failed there is one run of its error workflow. It is a link
of the chain that events and files make as well, so that error workflows that fail cannot start each other for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from shared.clock import iso
from shared.errors import AppError, NotFound, Unavailable
from shared.ids import digest
from shared.log import logger
from shared.notifications.admins import tell_admins
from shared.runs.model import SINGLE_NODE, Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Tenant, from_envelope
from shared.workflows.record import Workflow
from shared.workflows.store import WorkflowStore
from stepfunctions import fire
from stepfunctions.arrivals import MAX_CHAIN
from stepfunctions.engine.payloads import Value
from stepfunctions.published import Published
from stepfunctions.start import payload_objects, refuse

_TOO_LONG: Final[Mapping[str, Any]] = {
    "node_id": None,
    "error": "ChainTooLong",
    "message": f"not started: at most {MAX_CHAIN} runs may start each other by events, files or failures. Does an "
    "error workflow fail itself?",
}


@dataclass(frozen=True, slots=True)
class _Failed:
    """A run that failed, its workflow as it is now, and the document that it ran."""

    run: Run
    workflow: Workflow
    document: Mapping[str, Any]


def failed(detail: Mapping[str, Any]) -> list[str]:
    """A failure that came over the bus: the id of the run that it starts, or has started. Raises Unavailable."""
    tenant = from_envelope(dict(detail))
    found = _looked_up(tenant, detail["execution_id"], int(detail["attempt"]))
    wanted = None if found is None else (found.document.get("settings") or {}).get("error_workflow")
    if found is None or wanted is None:
        return []
    version = fire.published(tenant, wanted)
    if version is None:
        _cannot(tenant, found.run, wanted, "it is not published")
        return []
    manual = [node for node, kind in version.triggers if kind == "manual_trigger"]
    if (version.triggers or version.disabled) and not manual:
        _cannot(tenant, found.run, wanted, "it has no manual trigger")
        return []
    run = _start(tenant, version, manual[0] if manual else None, found)
    return [] if run is None else [run.id]


def _looked_up(tenant: Tenant, execution_id: str, attempt: int) -> _Failed | None:
    """None for what nobody is to hear of: a draft's run, a single node's, one that was retried or removed since."""
    table = TenantTable(tenant)
    try:
        run = RunStore(table).get(execution_id)
        if run.status != "failed" or run.attempt != attempt or run.triggered_by.get("kind") == SINGLE_NODE:
            return None
        store = WorkflowStore(table)
        workflow = store.get(run.workflow_id)
        return _Failed(run, workflow, store.version(workflow, run.version)[1])
    except NotFound:
        return None


def _start(tenant: Tenant, version: Published, node_id: str | None, failure: _Failed) -> Run | None:
    run = failure.run
    chain, occasion = run.chain + 1, digest("error", run.id, str(run.attempt), version.workflow_id)
    by = {"kind": "error", "id": run.id, "user": None}
    error: Mapping[str, Any] | None = _TOO_LONG if chain > MAX_CHAIN else None
    data = _data(tenant, failure)
    if chain > MAX_CHAIN + 1:
        return None  # what the refusal leads to is dropped
    if error is None:
        try:
            return fire.fire(tenant, version, node_id, data, by, occasion=occasion, chain=chain)
        except Unavailable:
            raise
        except AppError as refusal:  # a quota, say: people see it where they look for the run
            error = {"node_id": None, "error": "NotStarted", "message": f"not started: {refusal.detail}"}
    logger("dispatcher").warning("error_workflow_refused", tenant_id=tenant.id, execution_id=run.id, chain=chain)
    return refuse(
        tenant,
        version,
        trigger_node=node_id,
        trigger_data=data,
        triggered_by=by,
        execution_id=fire.id_for(tenant, occasion),
        chain=chain,
        error=error,
    )


def _data(tenant: Tenant, failure: _Failed) -> dict[str, Any]:
    """What the error workflow is started with."""
    run, error = failure.run, failure.run.error or {}
    node_id = error.get("node_id")
    nodes = {n["id"]: n for n in failure.document.get("nodes", ())}
    node = nodes.get(str(node_id).partition(".")[0])  # of a composite's part
    trigger_data = None
    with suppress(LookupError):  # a large value lapses after its time
        trigger_data = Value(encoded=run.trigger, objects=payload_objects(tenant)).get()
    return {
        "execution": {
            "id": run.id,
            "status": run.status,
            "attempt": run.attempt,
            "started_at": None if run.started_at is None else iso(run.started_at),
            "completed_at": None if run.completed_at is None else iso(run.completed_at),
            "triggered_by": dict(run.triggered_by),
        },
        "workflow": {"id": run.workflow_id, "name": failure.workflow.name, "version": run.version},
        "error": {"error": error.get("error"), "message": error.get("message")},
        "node": None if node is None else {"id": node_id, "name": node.get("name"), "type": node["type"]},
        "trigger": {"node_id": run.trigger_node, "data": trigger_data},
    }


def _cannot(tenant: Tenant, run: Run, wanted: str, why: str) -> None:
    """There is nothing to start, and so no run in which people could see it: admins are told, once a day."""
    logger("dispatcher").warning("no_error_workflow", tenant_id=tenant.id, workflow_id=run.workflow_id)
    message = f"{run.workflow_id} has failed, and its error workflow {wanted} could not be started: {why}."
    key = f"error workflow {run.workflow_id} {wanted} {why}"
    tell_admins(tenant, "An error workflow could not be started", message, key=key, execution_id=run.id)
