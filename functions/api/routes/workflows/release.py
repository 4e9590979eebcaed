"""Workflows: is this one valid, what does it compile to, and its published versions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from functions.api.deps import IfMatch, Made, Once, Paged, require
from functions.api.schemas.pages import PageOf
from functions.api.schemas.workflows import (
    AslOut,
    ProblemOut,
    PublishedOut,
    PublishIn,
    ValidationOut,
    VersionOut,
    VersionSummary,
    WorkflowIn,
    WorkflowSummary,
)
from shared.errors import BadRequest, Invalid, NotFound, Problem
from shared.tenancy import Principal
from shared.workflows import service
from shared.workflows.model import Document
from stepfunctions import release

router = APIRouter(prefix="/workflows", tags=["workflows"])
Reader = Annotated[Principal, require("viewer", "workflows:read")]
Writer = Annotated[Principal, require("editor", "workflows:write")]
_NUMBER = r"^([1-9][0-9]{0,5}|draft)$"


@router.post("/validate")
def validate_unsaved(body: WorkflowIn, who: Reader) -> ValidationOut:
    """All problems of a document that is not saved."""
    return _validated(who, body.document())


@router.post("/{workflow_id}/validate")
def validate(workflow_id: str, who: Reader) -> ValidationOut:
    """All problems of the draft."""
    return _validated(who, service.document_of(service.read(who, workflow_id)[1]))


@router.post("/{workflow_id}/publish", response_model=PublishedOut)
def publish(workflow_id: str, who: Writer, once: Once, known: IfMatch, body: PublishIn | None = None) -> Response:
    """Make the draft the next version and put it into service. 422 names every problem of a draft that has some."""
    wanted = body or PublishIn()
    if known is not None and wanted.revision not in (None, known):
        raise BadRequest("If-Match and revision name two revisions", code="two_revisions")

    def make() -> Made:
        revision = known if wanted.revision is None else wanted.revision
        made = release.publish_workflow(who.tenant, who, workflow_id, revision, wanted.notes)
        summary = VersionSummary.model_validate(made.version).model_dump()
        location = f"/api/v1/workflows/{workflow_id}/versions/{made.version.version}"
        answer = PublishedOut(**summary, workflow_id=workflow_id, triggers=[dict(t) for t in made.triggers])
        return Made(200, answer, {"Location": location})

    return once(who, wanted, make, secret=True)


@router.post("/{workflow_id}/unpublish")
def unpublish(workflow_id: str, who: Writer) -> WorkflowSummary:
    """Take the workflow out of service: its triggers are removed. Runs go on."""
    release.unpublish_workflow(who.tenant, workflow_id)
    return WorkflowSummary.model_validate(service.read(who, workflow_id)[0])


@router.get("/{workflow_id}/versions")
def versions(workflow_id: str, who: Reader, page: Paged) -> PageOf[VersionSummary]:
    """The published versions, newest first."""
    return PageOf[VersionSummary].model_validate(service.versions(who, workflow_id, page.cursor, page.limit))


@router.get("/{workflow_id}/versions/{version}")
def version(workflow_id: str, version: str, who: Reader) -> VersionOut:
    """A published version and its document."""
    if not version.isascii() or not version.isdecimal() or len(version) > 6:
        raise NotFound(f"there is no version {version}", code="no_version")
    found, document = service.version(who, workflow_id, int(version))
    return VersionOut(**VersionSummary.model_validate(found).model_dump(), document=document)


@router.get("/{workflow_id}/asl", response_model_exclude_none=True)
def asl(
    workflow_id: str,
    who: Reader,
    version: Annotated[str | None, Query(pattern=_NUMBER, description="a version, or `draft`")] = None,
    explain: bool = False,
) -> AslOut:
    """The compiled state machine: of the published version, or of the draft while there is none.

    `${runner}` and `${tasks}` stand for the functions. `explain` adds segments, transitions and cost.
    """
    wanted: release.WhichVersion = None if version is None else "draft" if version == "draft" else int(version)
    _, number, raw = release.document_at(who.tenant, workflow_id, wanted)
    plan, problems = _compiled(service.document_of(raw), number)
    if plan is None:
        errors = [Problem(p.code, p.message, p.path, p.node_id) for p in problems if p.severity == "error"]
        raise Invalid("the workflow has problems", code="invalid_workflow", errors=errors)
    shown = AslOut(workflow_id=workflow_id, version=number, machine=plan.machine, definition=dict(plan.skeleton))
    if explain:
        from stepfunctions.explain import explain as explained

        shown.explain = explained(plan)
    return shown


def _validated(who: Principal, document: Document) -> ValidationOut:
    from stepfunctions.named_credentials import credential_problems

    plan, problems = _compiled(document, 0)
    problems += [ProblemOut.model_validate(d) for d in credential_problems(who.tenant, document)]
    return ValidationOut(valid=plan is not None, problems=problems)


def _compiled(document: Document, version: int) -> tuple[Any, list[ProblemOut]]:
    # The compiler takes a while to import, and most requests do without it.
    from stepfunctions.compiler.compile import compile_document

    compiled = compile_document(document, version=version)
    return compiled.plan, [ProblemOut.model_validate(d) for d in compiled.diagnostics]
