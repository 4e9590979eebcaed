"""Workflows: their drafts.

A draft's ETag is its `revision`. With If-Match a save of a stale draft is 412; without, the last save wins.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from functions.api.deps import IfMatch, Made, Once, Paged, etag_of, require
from functions.api.schemas.pages import PageOf
from functions.api.schemas.workflows import (
    READ_ONLY,
    CopyIn,
    WorkflowIn,
    WorkflowOut,
    WorkflowStepsOut,
    WorkflowSummary,
)
from shared.tenancy import Principal
from shared.workflows import service
from shared.workflows.record import Workflow
from shared.workflows.steps.from_document import shown
from stepfunctions import release

router = APIRouter(prefix="/workflows", tags=["workflows"])
Reader = Annotated[Principal, require("viewer", "workflows:read")]
Writer = Annotated[Principal, require("editor", "workflows:write")]
Word = Annotated[str | None, Query(max_length=200)]


@router.post("", status_code=201, response_model=WorkflowOut)
def create(body: WorkflowIn, who: Writer, once: Once) -> Response:
    """Store a workflow: nodes and connections, or steps. It may name the id, if that is free."""
    return once(who, body, lambda: _made(service.create(who, body.document())))


@router.get("")
def list_all(
    who: Reader, page: Paged, category: Word = None, tag: Word = None, q: Word = None, is_active: bool | None = None
) -> PageOf[WorkflowSummary]:
    """The tenant's workflows, newest first. `q` is looked for in their names."""
    found = service.listing(who, page.cursor, page.limit, category=category, tag=tag, q=q, is_active=is_active)
    return PageOf[WorkflowSummary].model_validate(found)


@router.get("/{workflow_id}", response_model=WorkflowOut | WorkflowStepsOut)
def get(workflow_id: str, who: Reader, notation: Literal["document", "steps"] = "document") -> Response:
    """A workflow with its draft: its nodes and connections, or the steps that stand for them."""
    workflow, document = service.read(who, workflow_id)
    if notation == "steps":
        body = {**shown(document), **WorkflowSummary.model_validate(workflow).model_dump(mode="json")}
        return JSONResponse(body, headers={"ETag": etag_of(workflow.revision)})
    return _shown((workflow, document))


@router.put("/{workflow_id}", response_model=WorkflowOut)
def put(workflow_id: str, body: WorkflowIn, who: Writer, known: IfMatch) -> Response:
    """Replace the draft. What is published stays as it is."""
    return _shown(service.put(who, workflow_id, body.document(), known))


@router.patch("/{workflow_id}", response_model=WorkflowOut)
def patch(workflow_id: str, body: dict[str, Any], who: Writer, known: IfMatch) -> Response:
    """Change parts of the draft, by JSON Merge Patch: objects are merged, lists replaced, null means the default.

    `steps` are taken as PUT takes them, in place of the draft's nodes and connections.
    """
    changes = {name: value for name, value in body.items() if name not in READ_ONLY}
    return _shown(service.patch(who, workflow_id, changes, known))


@router.delete("/{workflow_id}", status_code=204)
def remove(workflow_id: str, who: Writer, known: IfMatch) -> None:
    """Remove a workflow with its versions and triggers: 409 while a run of it goes on. Its runs stay readable.

    If it fails half way (503), the workflow is out of service and not to be changed any more; a repeat does the rest.
    """
    release.delete_workflow(who.tenant, workflow_id, known)


@router.post("/{workflow_id}/copy", status_code=201, response_model=WorkflowOut)
def copy(workflow_id: str, who: Writer, once: Once, body: CopyIn | None = None) -> Response:
    """A new workflow with the draft of this one."""
    return once(who, body, lambda: _made(service.copy(who, workflow_id, body.name if body else None)))


def _made(made: tuple[Workflow, dict[str, Any]]) -> Made:
    workflow, document = made
    headers = {"ETag": etag_of(workflow.revision), "Location": f"/api/v1/workflows/{workflow.id}"}
    return Made(201, _body(workflow, document), headers)


def _shown(found: tuple[Workflow, dict[str, Any]]) -> Response:
    # The document goes out as it is stored; reading it into models and back would take longer than all the rest.
    return JSONResponse(_body(*found), headers={"ETag": etag_of(found[0].revision)})


def _body(workflow: Workflow, document: dict[str, Any]) -> dict[str, Any]:
    return {**document, **WorkflowSummary.model_validate(workflow).model_dump(mode="json")}
