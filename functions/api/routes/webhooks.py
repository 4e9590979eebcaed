"""Webhooks: the addresses of workflows' webhook nodes. They come and go with publishing."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from functions.api.deps import IfMatch, Made, OfWorkflow, Once, Paged, etag_of, require
from functions.api.schemas.pages import PageOf
from functions.api.schemas.webhooks import NewSecret, RotateIn, WebhookIn, WebhookOut
from shared.tenancy import Principal
from shared.triggers import service

router = APIRouter(prefix="/webhooks", tags=["webhooks"])
Reader = Annotated[Principal, require("viewer", "webhooks:read")]
Writer = Annotated[Principal, require("editor", "webhooks:write")]


@router.get("")
def list_all(who: Reader, page: Paged, workflow_id: OfWorkflow = None) -> PageOf[WebhookOut]:
    """The webhooks of one workflow, or of all."""
    return PageOf[WebhookOut].model_validate(service.webhooks(who, workflow_id, page.cursor, page.limit))


@router.post("", status_code=201, response_model=NewSecret)
def create(body: WebhookIn, who: Writer, once: Once) -> Response:
    """The addresses of a draft's webhook node, to try it at its test address before it is published."""

    def make() -> Made:
        view, secret = service.create_webhook(who, body.workflow_id, body.node_id)
        answer = NewSecret(**WebhookOut.model_validate(view).model_dump(), secret=secret)
        return Made(201, answer, {"Location": f"/api/v1/webhooks/{view.id}", "ETag": etag_of(view.revision)})

    return once(who, body, make, secret=True)


@router.get("/{webhook_id}")
def get(webhook_id: str, who: Reader, response: Response) -> WebhookOut:
    """One webhook, without its secret."""
    found = service.webhook(who, webhook_id)
    response.headers["ETag"] = etag_of(found.revision)
    return WebhookOut.model_validate(found)


@router.post("/{webhook_id}/rotate", response_model=NewSecret)
def rotate(webhook_id: str, who: Writer, once: Once, known: IfMatch, body: RotateIn | None = None) -> Response:
    """Replace the secret. The answer shows the new one, this once; the old one is good for `grace_seconds` more."""
    wanted = body or RotateIn()

    def make() -> Made:
        view, text = service.rotate(
            who, webhook_id, grace_seconds=wanted.grace_seconds, secret=wanted.secret, known=known
        )
        answer = NewSecret(**WebhookOut.model_validate(view).model_dump(), secret=text)
        return Made(200, answer, {"ETag": etag_of(view.revision)})

    return once(who, wanted, make, secret=True)
