"""Links to tasks."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from functions.api.schemas.base import Answer, Body, TimeOut
from functions.api.schemas.tasks import Assignee
from shared.task_links.model import LinkStatus
from shared.tasks.model import TaskStatus

_WEEK = 7 * 86_400


class TaskLinkIn(Body):
    """Whom a link is for: a user's id or e-mail address, or the address of somebody without an account."""

    assignee: Assignee
    expires_in: Annotated[int, Field(ge=60, le=30 * 86_400, description="seconds")] = _WEEK


class TaskLinkOut(Answer):
    """A link, without its secret. `person` is a user's id, or `link:` and the digest of an address."""

    id: str
    task_id: str
    person: str
    sent_to: str
    status: LinkStatus
    created_by: str
    created_at: TimeOut
    expires_at: TimeOut


class NewTaskLink(TaskLinkOut):
    """A link that has just been made. `url` is shown this once."""

    url: str


class LinkedTask(Answer):
    """What the holder of a link is shown: the task without who else has it."""

    title: str
    instructions: str
    form: dict[str, Any] | None
    data: Any
    workflow_name: str
    status: TaskStatus
    quorum: int | None
    due_at: TimeOut | None
    expires_at: TimeOut
    shown_sha256: str | None
    decision: str | None
