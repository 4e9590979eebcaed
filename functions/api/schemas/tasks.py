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
    """A task in a list. `open` until it is answered (`completed`), its time is over (`lapsed`) or its run is."""

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
    due_at: TimeOut
    decision: str | None
    completed_by: str | None
    completed_at: TimeOut | None


class TaskAnswerOut(Answer):
    """What was answered, by whom (a user's or an API key's id) and when."""

    decision: str
    data: Any
    comment: str | None
    completed_by: str
    completed_at: TimeOut


class TaskOut(TaskSummary):
    """A task with what the person is shown: `form` is the JSON Schema of the answer's data, `data` the node's input."""

    instructions: str
    form: dict[str, Any] | None
    data: Any
    response: TaskAnswerOut | None
