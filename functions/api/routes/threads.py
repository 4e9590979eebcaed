"""Threads: what was said in conversations. Agents and chats remember by them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from functions.api.deps import IfMatch, Made, Once, Paged, etag_of, require
from functions.api.schemas.pages import PageOf
from functions.api.schemas.threads import MessageIn, MessageOut, ThreadIn, ThreadOut, ThreadPatch
from shared.tenancy import Principal
from shared.threads import service

router = APIRouter(prefix="/threads", tags=["threads"])
Reader = Annotated[Principal, require("viewer", "threads:read")]
Writer = Annotated[Principal, require("editor", "threads:write")]
Number = Annotated[int, Path(ge=0, le=99_999_999)]
Order = Annotated[Literal["oldest_first", "newest_first"], Query()]


@router.get("")
def list_all(who: Reader, page: Paged) -> PageOf[ThreadOut]:
    """The tenant's threads, by id."""
    return PageOf[ThreadOut].model_validate(service.listing(who, page.cursor, page.limit))


@router.post("", status_code=201, response_model=ThreadOut)
def create(body: ThreadIn, who: Writer, once: Once) -> Response:
    """Make a thread. An agent that is given an id which is not there yet makes it, too."""

    def make() -> Made:
        made = service.create(who, body.id, body.title, body.metadata)
        headers = {"ETag": etag_of(made.version), "Location": f"/api/v1/threads/{made.id}"}
        return Made(201, ThreadOut.model_validate(made), headers)

    return once(who, body, make)


@router.get("/{thread_id}")
def get(thread_id: str, who: Reader, response: Response) -> ThreadOut:
    """One thread."""
    found = service.read(who, thread_id)
    response.headers["ETag"] = etag_of(found.version)
    return ThreadOut.model_validate(found)


@router.patch("/{thread_id}")
def change(thread_id: str, body: ThreadPatch, who: Writer, known: IfMatch, response: Response) -> ThreadOut:
    """Give a thread another title or metadata."""
    changed = service.change(who, thread_id, body.model_dump(exclude_none=True), known)
    response.headers["ETag"] = etag_of(changed.version)
    return ThreadOut.model_validate(changed)


@router.delete("/{thread_id}", status_code=204)
def remove(thread_id: str, who: Writer, known: IfMatch) -> None:
    """Remove a thread with its messages."""
    service.remove(who, thread_id, known)


@router.get("/{thread_id}/messages")
def messages(thread_id: str, who: Reader, page: Paged, order: Order = "oldest_first") -> PageOf[MessageOut]:
    """What was said."""
    found = service.messages(who, thread_id, page.cursor, page.limit, newest_first=order == "newest_first")
    return PageOf[MessageOut].model_validate(found)


@router.post("/{thread_id}/messages", status_code=201, response_model=MessageOut)
def say(thread_id: str, body: MessageIn, who: Writer, once: Once) -> Response:
    """Say something at the end of a thread. No run is started by it."""

    def make() -> Made:
        said = MessageOut.model_validate(service.add(who, thread_id, body.role, body.content))
        return Made(201, said, {"Location": f"/api/v1/threads/{thread_id}/messages/{said.number}"})

    return once(who, body, make)


@router.get("/{thread_id}/messages/{message_number}")
def message(thread_id: str, message_number: Number, who: Reader) -> MessageOut:
    """One message. It does not change: there is no ETag."""
    return MessageOut.model_validate(service.message(who, thread_id, message_number))


@router.delete("/{thread_id}/messages/{message_number}", status_code=204)
def remove_message(thread_id: str, message_number: Number, who: Writer) -> None:
    """Remove a message: agents and chats do not remember it. The others keep their numbers."""
    service.remove_message(who, thread_id, message_number)
