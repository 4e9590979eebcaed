"""Versions of a workflow beside each other, and back into the draft."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from functions.api.deps import IfMatch, etag_of, require
from functions.api.schemas.versions import ComparedOut
from functions.api.schemas.workflows import WorkflowOut, WorkflowSummary
from shared.errors import NotFound
from shared.tenancy import Principal
from shared.workflows import service
from stepfunctions.release import WhichVersion

router = APIRouter(prefix="/workflows", tags=["workflows"])
Reader = Annotated[Principal, require("viewer", "workflows:read")]
Writer = Annotated[Principal, require("editor", "workflows:write")]
_NUMBER = r"^([1-9][0-9]{0,5}|draft)$"


@router.get("/{workflow_id}/versions/{version}/diff")
def diff(
    workflow_id: str,
    version: str,
    who: Reader,
    to: Annotated[str, Query(pattern=_NUMBER, description="a version, or `draft`")] = "draft",
) -> ComparedOut:
    """What has become of a version in another one, or in the draft: nodes, connections, and what it compiles to."""
    from stepfunctions.versions import compare

    wanted: WhichVersion = "draft" if to == "draft" else int(to)
    return ComparedOut.model_validate(compare(who.tenant, workflow_id, _number(version), wanted))


@router.post("/{workflow_id}/versions/{version}/restore", response_model=WorkflowOut)
def restore(workflow_id: str, version: str, who: Writer, known: IfMatch) -> Response:
    """Make the draft what this version is. What is published stays as it is."""
    _, kept = service.version(who, workflow_id, _number(version))
    workflow, document = service.put(who, workflow_id, service.document_of(kept), known)
    shown = {**document, **WorkflowSummary.model_validate(workflow).model_dump(mode="json")}
    return JSONResponse(shown, headers={"ETag": etag_of(workflow.revision)})


def _number(version: str) -> int:
    if not version.isascii() or not version.isdecimal() or len(version) > 6:
        raise NotFound(f"there is no version {version}", code="no_version")
    return int(version)
