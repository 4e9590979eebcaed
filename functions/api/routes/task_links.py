"""Answering one task without an account, by a link from a mail or a chat. Public, and limited by address.

Looking answers nothing: mail scanners follow links.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from functions.api import problems, task_page
from functions.api.deps import acting, source_address
from functions.api.schemas.task_links import LinkedTask
from functions.api.schemas.tasks import TaskAnswerIn
from shared import limits, strict_json
from shared.audit.model import Actor
from shared.errors import AppError
from shared.task_links import service
from shared.task_links.service import Opened

router = APIRouter(prefix="/task-links", tags=["task-links"])
_FORM: Final = "application/x-www-form-urlencoded"
_PAGE: Final = {"text/html": {"schema": {"type": "string"}}}
_HTML: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": _PAGE},
    "4XX": {**problems.RESPONSES["4XX"], "content": {**problems.RESPONSES["4XX"]["content"], **_PAGE}},
}
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": TaskAnswerIn.model_json_schema()},
            _FORM: {
                "schema": {
                    "type": "object",
                    "properties": {n: {"type": "string"} for n in ("decision", "comment", "data")},
                    "required": ["decision"],
                }
            },
        },
    }
}


def _limited(request: Request) -> None:
    limits.count_link(source_address(request))


async def _answer(request: Request) -> TaskAnswerIn:
    """The answer, as JSON or as the page's form sends it: there `data` is JSON text."""
    body = await request.body()
    try:
        if _posted(request):
            fields: dict[str, Any] = {k: v for k, v in parse_qsl(body.decode("utf-8", "replace")) if v}
            if "data" in fields:
                fields["data"] = _json(fields["data"])
            return TaskAnswerIn.model_validate(fields)
        return TaskAnswerIn.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError([{**e, "loc": ("body", *e["loc"])} for e in error.errors()]) from None


def _json(text: str) -> Any:
    try:
        return strict_json.loads(text.encode())
    except (AppError, json.JSONDecodeError):
        return text  # no object: the form's check says so


def _posted(request: Request) -> bool:
    return request.headers.get("content-type", "").split(";")[0].strip().lower() == _FORM


Limited = Annotated[None, Depends(_limited)]
Given = Annotated[TaskAnswerIn, Depends(_answer)]


@router.get("/{link_token}", response_model=LinkedTask, responses=_HTML)
def look(link_token: str, request: Request, response: Response, _limit: Limited) -> Any:
    """The task of a link; as a page for browsers (`Accept: text/html`). It answers nothing."""
    wants_page = "text/html" in request.headers.get("accept", "")
    try:
        opened = service.look(link_token)
    except AppError as error:
        if wants_page:
            return task_page.refused(error)
        raise
    if wants_page:
        return task_page.task(opened)
    response.headers["Cache-Control"] = "no-store"
    return _linked(opened)


@router.post("/{link_token}", response_model=LinkedTask, responses=_HTML, openapi_extra=_BODY)
def answer(link_token: str, request: Request, response: Response, _limit: Limited, given: Given) -> Any:
    """Answer the task of a link; its run goes on. It works once."""
    try:
        opened = service.answer(link_token, given.decision, given.data, given.comment)
    except AppError as error:
        if _posted(request):
            return task_page.refused(error)
        raise
    link = opened.link
    acting(request, opened.tenant, Actor("link", link.id, None if link.person.startswith("link:") else link.person))
    request.state.about = ("tasks", link.task_id)
    if _posted(request):
        return task_page.thanks(opened)
    response.headers["Cache-Control"] = "no-store"
    return _linked(opened)


def _linked(opened: Opened) -> LinkedTask:
    task, shown = opened.task, opened.shown
    names = ("title", "workflow_name", "status", "quorum", "due_at", "expires_at", "shown_sha256", "decision")
    return LinkedTask(
        instructions=shown.instructions,
        form=shown.form,
        data=shown.data,
        **{name: getattr(task, name) for name in names},
    )
