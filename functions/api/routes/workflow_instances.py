"""Conversations that follow a template: people's turns, their state, and how they end."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from functions.api.deps import IfMatch, Made, Once, Paged, etag_of, require
from functions.api.guided_views import instance_of, turn_of
from functions.api.schemas.guided import (
    GuidedAnalytics,
    GuidedMessageOut,
    InstanceIn,
    InstanceOut,
    InstanceSummary,
    SaidOut,
    SayIn,
    StateIn,
    WaitIn,
    analytics_of,
)
from functions.api.schemas.pages import PageOf
from shared.guided import service
from shared.guided.model import Document, Instance, Status
from shared.ids import digest
from shared.tenancy import Principal
from stepfunctions import guided

router = APIRouter(prefix="/workflow-instances", tags=["workflow-instances"])
Reader = Annotated[Principal, require("viewer", "workflow_instances:read")]
Writer = Annotated[Principal, require("operator", "workflow_instances:write")]
Editor = Annotated[Principal, require("editor", "workflow_instances:read")]
Filter = Annotated[str | None, Query(min_length=1, max_length=100)]
Wait = Annotated[float, Query(ge=0, le=25, description="seconds to wait for what is at work")]
Order = Annotated[Literal["oldest_first", "newest_first"], Query()]


@router.get("")
def list_all(
    who: Reader,
    page: Paged,
    status: Status | None = None,
    conversation_id: Filter = None,
    user_id: Filter = None,
    template: Filter = None,
) -> PageOf[InstanceSummary]:
    """Instances, newest first: the caller's own, by templates that they may use; for admins all."""
    found = guided.listing(
        who,
        page.cursor,
        page.limit,
        status=status,
        conversation_id=conversation_id,
        user_id=user_id,
        template=template,
    )
    return PageOf[InstanceSummary].model_validate(found)


@router.post("", status_code=201, response_model=InstanceOut)
def create(body: InstanceIn, who: Writer, once: Once) -> Response:
    """Begin a conversation by a template. 409 `conversation_busy` while another instance is active in it."""

    def make() -> Made:
        mark = digest("begin", who.id, once.key, body.model_dump_json()) if once.key else None
        begun = guided.begin(who, body.template, body.conversation_id, body.state, mark)
        headers = {"ETag": etag_of(begun.version), "Location": f"/api/v1/workflow-instances/{begun.id}"}
        return Made(201, instance_of(who.tenant, begun), headers)

    return once(who, body, make)


@router.get("/analytics")
def analytics(who: Editor, page: Paged) -> PageOf[GuidedAnalytics]:
    """What became of the instances of each template, by its name. For editors."""
    found = service.templates(who, None, None, page.cursor, page.limit)
    items = [analytics_of(t.name, service.counts(who, t.name, None, None)) for t in found.items]
    return PageOf[GuidedAnalytics](items=items, next_cursor=found.next_cursor)


@router.get("/{instance_id}")
def get(instance_id: str, who: Reader, response: Response, wait_seconds: Wait = 0) -> InstanceOut:
    """One instance. What is at work in it is brought on, and waited for."""
    return _answer(who, guided.read(who, instance_id, wait_seconds), response)


@router.get("/{instance_id}/messages")
def messages(instance_id: str, who: Reader, page: Paged, order: Order = "oldest_first") -> PageOf[GuidedMessageOut]:
    """What was said."""
    found = guided.messages(who, instance_id, page.cursor, page.limit, newest_first=order == "newest_first")
    return PageOf[GuidedMessageOut].model_validate(found)


@router.post(
    "/{instance_id}/messages",
    status_code=200,
    response_model=SaidOut,
    responses={202: {"model": SaidOut, "description": "The answer is to come"}},
)
def say(instance_id: str, body: SayIn, who: Writer, once: Once) -> Response:
    """A person's turn. 200 if the assistant's came within `wait_seconds`, else 202: sending the same again, or asking
    for the instance, waits on. 409 `turn_busy` while another message has no answer.
    """

    def make() -> Made:
        said = body.model_dump_json(exclude={"wait_seconds"})
        mark = digest("say", who.id, once.url, once.key, said) if once.key else None
        documents = tuple(Document(d.name, d.content) for d in body.documents)
        after, turn = guided.say(who, instance_id, body.content, documents, body.wait_seconds, mark)
        answer = SaidOut(turn=turn_of(turn), instance=instance_of(who.tenant, after))
        return Made(202 if turn.answer is None else 200, answer, {"ETag": etag_of(after.version)})

    return once(who, body, make)


@router.patch("/{instance_id}/state")
def change_state(instance_id: str, body: StateIn, who: Writer, known: IfMatch, response: Response) -> InstanceOut:
    """Correct the state directly. It is held against the schema and the steps' rules; what does not fit gets 422."""
    return _answer(who, guided.change_state(who, instance_id, body.state, tuple(body.remove), known), response)


@router.post("/{instance_id}/confirm", response_model=InstanceOut)
def confirm(instance_id: str, body: WaitIn, who: Writer, known: IfMatch, once: Once) -> Response:
    """Agree to the summary without saying so, and begin the end action. With If-Match: to the one that was shown."""
    return once(who, body, lambda: _made(who, guided.confirm(who, instance_id, known, body.wait_seconds)))


@router.post("/{instance_id}/cancel")
def cancel(instance_id: str, who: Writer, known: IfMatch, response: Response) -> InstanceOut:
    """End an instance without its end action. Cancelling it twice is no error."""
    return _answer(who, guided.cancel(who, instance_id, known), response)


@router.post("/{instance_id}/retry", response_model=InstanceOut)
def retry(instance_id: str, body: WaitIn, who: Writer, known: IfMatch, once: Once) -> Response:
    """Do the end action again after it has failed."""
    return once(who, body, lambda: _made(who, guided.retry(who, instance_id, known, body.wait_seconds)))


def _made(who: Principal, instance: Instance) -> Made:
    return Made(200, instance_of(who.tenant, instance), {"ETag": etag_of(instance.version)})


def _answer(who: Principal, instance: Instance, response: Response) -> InstanceOut:
    response.headers["ETag"] = etag_of(instance.version)
    return instance_of(who.tenant, instance)
