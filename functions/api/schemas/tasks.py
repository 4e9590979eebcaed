"""Human tasks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from functions.api.schemas.base import Answer, Body, TimeOut
from shared.tasks.model import TaskStatus

Comment = Annotated[str, StringConstraints(max_length=10_000, pattern=r"^[^\x00]*$")]
Assignee = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=320, pattern=r"^[^\x00-\x1f\x7f]+$")
]


class TaskAnswerIn(Body):
    """An answer. `data` is held against the task's form, whatever the decision."""

    decision: Literal["approve", "approved", "reject", "rejected", "submit", "submitted"]
    data: dict[str, Any] | None = None
    comment: Comment | None = None


class TaskReassign(Body):
    """Whom the task is for from now on: user ids, e-mail addresses or user types."""

    assignees: Annotated[list[Assignee], Field(min_length=1, max_length=100)]


class TaskSummary(Answer):
    """A task in a list. `open` until it is answered (`completed`), its time is over (`lapsed`) or its run is.

    It can be answered until `expires_at`, and should be until `due_at`. `shown_sha256` is of the canonical JSON of
    `{title, instructions, form, data}`. `revision` counts the changes, and is the ETag.
    """

    id: str
    status: TaskStatus
    title: str
    execution_id: str
    workflow_id: str
    workflow_name: str
    node_id: str
    node_name: str
    assignees: list[str]
    claimed_by: str | None
    claimed_at: TimeOut | None
    created_at: TimeOut
    expires_at: TimeOut
    due_at: TimeOut | None
    escalated: int
    quorum: int | None
    approvals: int
    rejections: int
    no_self_approval: bool
    shown_sha256: str | None
    decision: str | None
    completed_by: str | None
    completed_at: TimeOut | None
    revision: int


class VoteOut(Answer):
    """One person's vote on a task with a quorum."""

    by: str
    decision: str
    comment: str | None
    data: Any
    at: TimeOut


class TaskAnswerOut(Answer):
    """What was answered, by whom (a user's or an API key's id; by a link, `link:` and an id) and when. With a quorum
    the answer is the vote that decided, and `votes` are all of them.
    """

    decision: str
    data: Any
    comment: str | None
    completed_by: str
    completed_at: TimeOut
    shown_sha256: str | None
    votes: list[VoteOut] | None


class TaskOut(TaskSummary):
    """A task with what the person is shown: `form` is the JSON Schema of the answer's data, `data` the node's input."""

    instructions: str
    form: dict[str, Any] | None
    data: Any
    response: TaskAnswerOut | None
