"""A canary: another version that gets some of a workflow's runs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response

from functions.api.deps import IfMatch, etag_of, require
from functions.api.schemas.versions import CanaryIn, CanaryOut
from functions.api.schemas.workflows import WorkflowSummary
from shared.tenancy import Principal

router = APIRouter(prefix="/workflows", tags=["workflows"])
Reader = Annotated[Principal, require("viewer", "workflows:read")]
Writer = Annotated[Principal, require("editor", "workflows:write")]


@router.put("/{workflow_id}/canary")
def put_canary(workflow_id: str, body: CanaryIn, who: Writer, known: IfMatch, response: Response) -> CanaryOut:
    """Give another version so many of a hundred runs; what was counted of a canary before it is counted no more.

    Its triggers must be those of the published version (422 `triggers_differ`).
    """
    from stepfunctions import canary

    wanted = body.model_dump()
    return _shown(canary.begin(who, workflow_id, wanted.pop("version"), **wanted, known=known), response)


@router.get("/{workflow_id}/canary")
def get_canary(workflow_id: str, who: Reader, response: Response) -> CanaryOut:
    """The canary, or the last one and why it ended. 404 where there never was one."""
    from stepfunctions import canary

    return _shown(canary.get(who.tenant, workflow_id), response)


@router.delete("/{workflow_id}/canary", status_code=204)
def remove_canary(workflow_id: str, who: Writer, known: IfMatch) -> None:
    """Every run is of the published version again. Runs of the canary go on."""
    from stepfunctions import canary

    canary.remove(who, workflow_id, known)


@router.post("/{workflow_id}/canary/promote")
def promote_canary(workflow_id: str, who: Writer) -> WorkflowSummary:
    """Make the canary's version the published one."""
    from stepfunctions import canary

    return WorkflowSummary.model_validate(canary.promote(who, workflow_id))


def _shown(view: Any, response: Response) -> CanaryOut:
    response.headers["ETag"] = etag_of(view.canary.revision)
    fields = {name: getattr(view.canary, name) for name in view.canary.__slots__}
    return CanaryOut(
        **fields,
        runs=view.total.runs,
        failed=view.total.failed,
        window_runs=view.window.runs,
        window_failed=view.window.failed,
    )
