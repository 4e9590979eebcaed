"""Workflows: links that lead to one. `routes/shared.py` opens them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from functions.api.deps import Made, Once, Paged, require
from functions.api.schemas.exports import ShareIn, ShareMade, ShareOut
from functions.api.schemas.pages import PageOf
from shared.shares import service
from shared.tenancy import Principal

router = APIRouter(prefix="/workflows", tags=["shares"])
Reader = Annotated[Principal, require("viewer", "workflows:read")]
Writer = Annotated[Principal, require("editor", "workflows:write")]


@router.post("/{workflow_id}/share", status_code=201, response_model=ShareMade)
def create(workflow_id: str, who: Writer, once: Once, body: ShareIn | None = None) -> Response:
    """A link to this workflow. Its token is shown this once."""
    wanted = body or ShareIn()
    version = 0 if wanted.version == "draft" else wanted.version

    def make() -> Made:
        made, token = service.make(who, workflow_id, wanted.rights, version, wanted.expires_at)
        shown = ShareOut.model_validate(made).model_dump()
        return Made(201, ShareMade(**shown, token=token, path=f"/api/v1/shared/{token}"))

    return once(who, wanted, make, secret=True)


@router.get("/{workflow_id}/share")
def list_all(workflow_id: str, who: Reader, page: Paged) -> PageOf[ShareOut]:
    """The workflow's links that have not expired, newest first."""
    return PageOf[ShareOut].model_validate(service.listing(who, workflow_id, page.cursor, page.limit))


@router.delete("/{workflow_id}/share", status_code=204)
def revoke_all(workflow_id: str, who: Writer) -> None:
    """Revoke all of the workflow's links."""
    service.revoke(who, workflow_id, None)


@router.delete("/{workflow_id}/share/{share_id}", status_code=204)
def revoke(workflow_id: str, share_id: str, who: Writer) -> None:
    """Revoke a link: it opens nothing from here on."""
    service.revoke(who, workflow_id, share_id)
