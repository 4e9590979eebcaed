"""What a shared link leads to: to read without a key, to copy with one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response

from functions.api.deps import Made, Once, require, source_address
from functions.api.drafts import draft_made
from functions.api.schemas.exports import SharedOut
from functions.api.schemas.templates import DraftOut
from shared import limits
from shared.clock import iso
from shared.errors import Forbidden
from shared.shares import service
from shared.tenancy import Principal
from shared.workflows.service import document_of

router = APIRouter(prefix="/shared", tags=["shared"])
Writer = Annotated[Principal, require("editor", "workflows:write")]


@router.get("/{share_token}")
def read(share_token: str, request: Request, response: Response) -> SharedOut:
    """The workflow that a link leads to. Needs no key; 404 once it is revoked or has expired."""
    limits.count_shared_link(source_address(request))
    from stepfunctions.exports.envelope import envelope

    link, number, document = service.opened(share_token)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return SharedOut(**envelope(document, number), rights=link.rights, expires_at=iso(link.expires_at))


@router.post("/{share_token}/copy", status_code=201, response_model=DraftOut)
def copy(share_token: str, who: Writer, once: Once) -> Response:
    """A draft of the caller's own, of the workflow that a link leads to: 403 if it allows no copies."""

    def make() -> Made:
        from stepfunctions.exports.importing import take

        link, _, document = service.opened(share_token)
        if link.rights != "copy":
            raise Forbidden("this link is for reading only", code="rights")
        made, stored, changed = take(who, document_of({**document, "id": None}), {"kind": "share"})
        return draft_made(who, made, stored, [d.as_dict() for d in changed])

    return once(who, None, make)
