"""Steps that templates of guided workflows share. A template copies a version of one when it is saved."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from functions.api.deps import IfMatch, Once, Paged, etag_of, require
from functions.api.schemas.guided import WorkflowStepOut, WorkflowStepSummary
from functions.api.schemas.pages import PageOf
from functions.api.schemas.resources import ResourceVersionOut, ResourceVersionSummary, body_of, made, summary_of
from shared.guided import service
from shared.guided.documents import StepDefinition
from shared.resources import service as resources
from shared.resources.model import Resource
from shared.tenancy import Principal

router = APIRouter(prefix="/workflow-steps", tags=["workflow-steps"])
Reader = Annotated[Principal, require("editor", "workflow_steps:read")]
Writer = Annotated[Principal, require("editor", "workflow_steps:write")]


@router.get("")
def list_all(who: Reader, page: Paged) -> PageOf[WorkflowStepSummary]:
    """The step definitions, by name."""
    found = resources.listing(who, service.STEPS, page.cursor, page.limit)
    items = [summary_of(r) for r in found.items]
    return PageOf[WorkflowStepSummary].model_validate({"items": items, "next_cursor": found.next_cursor})


@router.post("", status_code=201, response_model=WorkflowStepOut)
def create(body: StepDefinition, who: Writer, once: Once) -> Response:
    """Make a step definition."""
    return once(who, body, lambda: made(service.create_step(who, body), "workflow-steps"))


@router.get("/{step_name}", response_model=WorkflowStepOut)
def get(step_name: str, who: Reader) -> Response:
    """One step definition."""
    return _answer(resources.read(who, service.STEPS, step_name))


@router.put("/{step_name}", response_model=WorkflowStepOut)
def put(step_name: str, body: StepDefinition, who: Writer, known: IfMatch) -> Response:
    """Replace a step definition: a new version. Templates keep what they have copied until they name the new one."""
    return _answer(service.put_step(who, step_name, body, known))


@router.delete("/{step_name}", status_code=204)
def remove(step_name: str, who: Writer, known: IfMatch) -> None:
    """Remove a step definition; templates keep what they have copied."""
    resources.remove(who, service.STEPS, step_name, known)


@router.get("/{step_name}/versions")
def versions(step_name: str, who: Reader, page: Paged) -> PageOf[ResourceVersionSummary]:
    """What a step definition was before, newest first."""
    found = resources.versions(who, service.STEPS, step_name, page.cursor, page.limit)
    return PageOf[ResourceVersionSummary].model_validate(found)


@router.get("/{step_name}/versions/{version}")
def version(step_name: str, version: int, who: Reader) -> ResourceVersionOut:
    """One version with its document."""
    return ResourceVersionOut.model_validate(resources.version(who, service.STEPS, step_name, version))


def _answer(resource: Resource) -> Response:
    return JSONResponse(body_of(resource), headers={"ETag": etag_of(resource.version)})
