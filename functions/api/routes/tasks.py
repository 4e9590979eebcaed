"""The inbox: what runs ask people."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from functions.api.deps import IfMatch, Made, Once, Paged, etag_of, require
from functions.api.schemas.pages import PageOf
from functions.api.schemas.task_links import NewTaskLink, TaskLinkIn, TaskLinkOut
from functions.api.schemas.tasks import TaskAnswerIn, TaskAnswerOut, TaskOut, TaskReassign, TaskSummary
from shared.clock import now_ms
from shared.task_links import service as task_links
from shared.task_links.model import TaskLink
from shared.tasks.model import Task, TaskStatus
from shared.tasks.service import TaskService
from shared.tenancy import Principal

router = APIRouter(prefix="/tasks", tags=["tasks"])
Reader = Annotated[Principal, require("operator", "tasks:read")]
Writer = Annotated[Principal, require("operator", "tasks:write")]
LinkMaker = Annotated[Principal, require("editor", "tasks:write")]
_LINK_FIELDS = ("id", "task_id", "person", "sent_to", "created_by", "created_at", "expires_at")
Filter = Annotated[str | None, Query(min_length=1, max_length=1000)]


@router.get("")
def list_all(
    who: Reader,
    page: Paged,
    status: TaskStatus | None = None,
    assignee: Filter = None,
    workflow_id: Filter = None,
    execution_id: Filter = None,
) -> PageOf[TaskSummary]:
    """Tasks, newest first. `assignee` is an entry of a task's assignees, or `me`: what the caller may take on."""
    found = TaskService(who.tenant).page(
        who,
        page.cursor,
        page.limit,
        status=status,
        assignee=assignee,
        workflow_id=workflow_id,
        execution_id=execution_id,
    )
    return PageOf[TaskSummary].model_validate(found)


@router.get("/{task_id}")
def get(task_id: str, who: Reader, response: Response) -> TaskOut:
    """One task, with what it shows and what was answered."""
    found = _whole(TaskService(who.tenant), task_id)
    response.headers["ETag"] = etag_of(found.revision)
    return found


@router.post("/{task_id}/complete")
def complete(task_id: str, body: TaskAnswerIn, who: Writer) -> TaskOut:
    """Answer a task; its run goes on. Its assignees may, and admins. A second answer is refused (409)."""
    service = TaskService(who.tenant)
    service.complete(who, task_id, body.decision, body.data, body.comment)
    return _whole(service, task_id)


@router.post("/{task_id}/claim")
def claim(task_id: str, who: Writer, response: Response) -> TaskSummary:
    """Take a task, so that nobody else answers it. Doing it twice is no error."""
    return _changed(TaskService(who.tenant).claim(who, task_id), response)


@router.post("/{task_id}/unclaim")
def unclaim(task_id: str, who: Writer, response: Response) -> TaskSummary:
    """Give a task back; admins may do so for others."""
    return _changed(TaskService(who.tenant).unclaim(who, task_id), response)


@router.post("/{task_id}/reassign")
def reassign(task_id: str, body: TaskReassign, who: Writer, known: IfMatch, response: Response) -> TaskSummary:
    """Put a task before others; a claim ends."""
    return _changed(TaskService(who.tenant).reassign(who, task_id, tuple(body.assignees), known), response)


@router.post("/{task_id}/links", status_code=201, response_model=NewTaskLink)
def create_link(task_id: str, body: TaskLinkIn, who: LinkMaker, once: Once) -> Response:
    """Make a link with which one person answers the task without an account. Its address is shown this once."""

    def make() -> Made:
        link, url = task_links.create(who, task_id, body.assignee, body.expires_in)
        return Made(201, NewTaskLink(**_link(link).model_dump(), url=url))

    return once(who, body, make, secret=True)


@router.get("/{task_id}/links")
def list_links(task_id: str, who: LinkMaker, page: Paged) -> PageOf[TaskLinkOut]:
    """The links to a task, newest first."""
    found = task_links.of_task(who, task_id, page.cursor, page.limit)
    return PageOf[TaskLinkOut](items=[_link(link) for link in found.items], next_cursor=found.next_cursor)


@router.delete("/{task_id}/links/{link_id}", status_code=204)
def revoke_link(task_id: str, link_id: str, who: LinkMaker) -> None:
    """Withdraw a link. Doing it twice is no error."""
    task_links.revoke(who, task_id, link_id)


def _changed(task: Task, response: Response) -> TaskSummary:
    response.headers["ETag"] = etag_of(task.revision)
    return TaskSummary.model_validate(task)


def _link(link: TaskLink) -> TaskLinkOut:
    return TaskLinkOut(**{f: getattr(link, f) for f in _LINK_FIELDS}, status=link.status(now_ms()))


def _whole(service: TaskService, task_id: str) -> TaskOut:
    task, shown, answer = service.get(task_id)
    summary = TaskSummary.model_validate(task).model_dump()
    response = None if answer is None else TaskAnswerOut.model_validate(answer.as_dict())
    return TaskOut(**summary, instructions=shown.instructions, form=shown.form, data=shown.data, response=response)
