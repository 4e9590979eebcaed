"""From a draft to a version that runs: publish, unpublish, delete, and what there is to run of a workflow.

A version never changes. Publishing makes one, points the workflow at it and then brings its triggers in line; where
the last step fails, publishing again does what is missing. Saving the draft changes nothing of what is published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from shared.clock import now_ms
from shared.errors import Conflict, Invalid, NotFound, PreconditionFailed, Problem
from shared.runs.model import OPEN
from shared.runs.store import RunStore
from shared.store.table import Attr, TenantTable
from shared.tenancy import Principal, Tenant
from shared.workflows.model import Document
from shared.workflows.record import Version, Workflow, being_deleted
from shared.workflows.service import document_of
from shared.workflows.store import Json, WorkflowStore
from stepfunctions.published import Published, in_service

WhichVersion = int | Literal["draft"] | None
_PAGES: Final = 20  # of a megabyte each, when looking for runs that go on


@dataclass(frozen=True, slots=True)
class Released:
    """A new version, with the workflow's triggers as they now are; a trigger shows its secret here, this once."""

    version: Version
    triggers: tuple[Mapping[str, Any], ...]


def publish_workflow(
    tenant: Tenant, principal: Principal, workflow_id: str, revision: int | None, notes: str = ""
) -> Released:
    """Make the draft the next version, and that the published one. `revision` is the draft's that the caller means.

    Raises NotFound, PreconditionFailed, Invalid (with every problem of the draft), Conflict (somebody else was first).
    """
    store = WorkflowStore(TenantTable(tenant))
    workflow, raw = store.get_with_document(workflow_id)
    if revision is not None and revision != workflow.revision:
        raise PreconditionFailed(f"the workflow is at revision {workflow.revision} by now; read it again")
    document, number = document_of(raw), workflow.latest_version + 1
    _check_credentials(tenant, document)
    if document.settings.require_tests:
        from stepfunctions.rehearsal.service import check

        check(tenant, workflow_id, document)
    published = _compiled(tenant, document, number).as_dict()
    version = Version(number, workflow.revision, published, now_ms(), principal.id, notes)
    store.release(workflow, version, raw)
    made = _sync(tenant, workflow_id, number, document)
    if not _stays(store, workflow_id):  # who deletes it may have come to its triggers before these were made
        _sync(tenant, workflow_id, number, None)
        raise being_deleted(workflow_id)
    return Released(version, tuple(made))


def unpublish_workflow(tenant: Tenant, workflow_id: str) -> None:
    """Take the workflow out of service: its triggers start nothing; runs go on. Doing it again changes nothing.

    Raises NotFound.
    """
    store = WorkflowStore(TenantTable(tenant))
    workflow = store.get(workflow_id)
    store.withdraw(workflow_id)
    from shared.triggers.service import suspend

    suspend(tenant, workflow_id, workflow.latest_version)


def delete_workflow(tenant: Tenant, workflow_id: str, revision: int | None) -> None:
    """Remove a workflow with its versions and triggers. Its runs stay readable.

    From the first write on it is out of service and stays so: its triggers start nothing; saving, publishing and
    executing it are refused (409 `being_deleted`). Where a later step fails, lists and GET still show it, not
    published, so that whoever asked finds it: deleting it again goes on from there, at the same revision.

    Raises NotFound, PreconditionFailed; Conflict while runs of it go on. Of a workflow with very many runs only the
    newest are looked at; an older one that still goes on does so to its end, for a run needs no more than its plan.
    Raises Unavailable if not all of it could be done; a repeat does the rest.
    """
    store = WorkflowStore(TenantTable(tenant))
    workflow = store.get(workflow_id)
    if revision is not None and revision != workflow.revision:
        raise PreconditionFailed(f"the workflow is at revision {workflow.revision} by now; read it again")
    if workflow.deleting_since is None:
        going_on = _open_run(tenant, workflow_id)
        if going_on is not None:
            raise Conflict(f"execution {going_on} has not ended; cancel it first", code="workflow_has_runs")
        # Before any trigger goes: a save or a publication that comes meanwhile cannot bring the workflow back without.
        store.begin_removal(workflow, now_ms())
    _sync(tenant, workflow_id, workflow.latest_version, None)
    store.remove(workflow)


def runnable(tenant: Tenant, workflow_id: str, version: WhichVersion = None) -> Published:
    """What starting this version takes. None: the published version or, while there is none, the draft.

    A draft is compiled when it is first run after a change. Raises NotFound; Invalid for a draft with problems;
    Conflict (`being_deleted`).
    """
    store = WorkflowStore(TenantTable(tenant))
    workflow = store.get(workflow_id)
    if workflow.deleting_since is not None:
        raise being_deleted(workflow_id)
    served = in_service(workflow.published, workflow.canary) if version is None else None
    if served is not None:
        return served
    if isinstance(version, int):
        return Published.from_dict(store.version(workflow, version)[0].published)
    if workflow.compiled is not None:
        return Published.from_dict(workflow.compiled)
    draft, raw = store.get_with_document(workflow_id)
    compiled = _compiled(tenant, document_of(raw), 0)
    store.keep_compiled(draft, compiled.as_dict())
    return compiled


def document_at(tenant: Tenant, workflow_id: str, version: WhichVersion = None) -> tuple[Workflow, int, Json]:
    """The workflow, and the number (0: the draft) and document of what `runnable` would run. Raises NotFound."""
    store = WorkflowStore(TenantTable(tenant))
    workflow, draft = store.get_with_document(workflow_id)
    number = workflow.published_version if version is None else version
    if isinstance(number, int):
        return workflow, number, store.version(workflow, number)[1]
    return workflow, 0, draft


def _stays(store: WorkflowStore, workflow_id: str) -> bool:
    try:
        return store.get(workflow_id).deleting_since is None
    except NotFound:
        return False


def _check_credentials(tenant: Tenant, document: Document) -> None:
    """Raises Invalid where one is missing, with whatever else is wrong with the document."""
    from stepfunctions.compiler.compile import check
    from stepfunctions.named_credentials import credential_problems

    missing = credential_problems(tenant, document)
    if missing:
        found = [*(d for d in check(document) if d.severity == "error"), *missing]
        errors = [Problem(d.code, d.message, d.path, d.node_id) for d in found]
        raise Invalid("the workflow has problems", code="invalid_workflow", errors=errors)


def _compiled(tenant: Tenant, document: Document, version: int) -> Published:
    # The compiler takes a while to import, and most requests do without it.
    from stepfunctions.publish import publish

    return publish(tenant, document, version)


def _sync(tenant: Tenant, workflow_id: str, version: int, document: Document | None) -> list[dict[str, Any]]:
    from shared.triggers.service import sync

    return sync(tenant, workflow_id, version, document)


def _open_run(tenant: Tenant, workflow_id: str) -> str | None:
    """The id of a run that has not ended, if there is one."""
    runs, start = RunStore(TenantTable(tenant)), None
    for _ in range(_PAGES):
        page = runs.page(workflow_id, start=start, limit=1_000, condition=Attr("status").is_in(list(OPEN)))
        if page.items:
            return runs.shape(page.items[0]).id
        start = page.last
        if start is None:
            break
    return None
