"""The steps of a draft, one by one. Each change is one of the draft, under the workflow's ETag."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from functions.api.deps import IfMatch, Made, Once, etag_of, require
from functions.api.schemas.steps import AddStepIn, ConnectIn, ReorderIn, StepsOut
from shared.tenancy import Principal
from shared.workflows import service
from shared.workflows.record import Workflow
from shared.workflows.steps import edits
from shared.workflows.steps.from_document import shown
from shared.workflows.steps.model import WrittenStep

router = APIRouter(prefix="/workflows/{workflow_id}/steps", tags=["steps"])
Reader = Annotated[Principal, require("viewer", "workflows:read")]
Writer = Annotated[Principal, require("editor", "workflows:write")]
Found = tuple[Workflow, dict[str, Any]]


@router.get("", response_model=StepsOut)
def list_all(workflow_id: str, who: Reader) -> Response:
    """All steps of the draft."""
    return _answer(service.read(who, workflow_id))


@router.post("", status_code=201, response_model=StepsOut)
def add(workflow_id: str, body: AddStepIn, who: Writer, once: Once, known: IfMatch) -> Response:
    """Add a step; it follows the one that it is put behind, and what followed that follows it."""
    step, ids = _given(body.step), [""]

    def change(document: dict[str, Any]) -> dict[str, Any]:
        made, ids[0] = edits.added(document, step, after=body.after, inside=body.inside, branch=body.branch)
        return made

    def make() -> Made:
        found = service.change(who, workflow_id, change, known)
        headers = {"ETag": etag_of(found[0].revision), "Location": f"/api/v1/workflows/{workflow_id}/steps"}
        return Made(201, _body(found, ids[0]), headers)

    return once(who, body, make)


@router.put("/{step_id}", response_model=StepsOut)
def put(workflow_id: str, step_id: str, body: WrittenStep, who: Writer, known: IfMatch) -> Response:
    """Replace a step. What hangs on it (its body, its branches, what is next) stays where it is not named."""
    step = _given(body)
    return _answer(service.change(who, workflow_id, lambda d: edits.replaced(d, step_id, step), known), step_id)


@router.delete("/{step_id}", response_model=StepsOut)
def remove(
    workflow_id: str,
    step_id: str,
    who: Writer,
    known: IfMatch,
    nested: Annotated[bool, Query(description="also when there are steps in it, which are removed with it")] = False,
) -> Response:
    """Remove a step; what came before it goes on with what came after it. 409 names the steps that read it."""
    return _answer(service.change(who, workflow_id, lambda d: edits.removed(d, step_id, nested=nested), known), step_id)


@router.post("/reorder", response_model=StepsOut)
def reorder(workflow_id: str, body: ReorderIn, who: Writer, known: IfMatch) -> Response:
    """Put the steps of one list into another order."""
    return _answer(service.change(who, workflow_id, lambda d: edits.reordered(d, body.order), known))


@router.post("/{step_id}/connect", response_model=StepsOut)
def connect(workflow_id: str, step_id: str, body: ConnectIn, who: Writer, known: IfMatch) -> Response:
    """Have a step come after this one as well. What is connected stays so."""

    def change(document: dict[str, Any]) -> dict[str, Any]:
        return edits.connected(document, step_id, body.to, body.port, body.to_port)

    return _answer(service.change(who, workflow_id, change, known), step_id)


def _given(step: WrittenStep) -> dict[str, Any]:
    """The step with the fields that were sent."""
    return step.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _answer(found: Found, step_id: str | None = None) -> Response:
    return JSONResponse(_body(found, step_id), headers={"ETag": etag_of(found[0].revision)})


def _body(found: Found, step_id: str | None) -> dict[str, Any]:
    workflow, document = found
    made = {name: value for name, value in shown(document).items() if name in StepsOut.model_fields}
    return {"workflow_id": workflow.id, "revision": workflow.revision, "step_id": step_id, **made}
