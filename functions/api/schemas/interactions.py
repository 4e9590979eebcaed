"""Runs as a conversation shows them."""

from __future__ import annotations

from typing import Any, Literal

from functions.api.schemas.base import Answer, TimeOut
from shared.runs.model import NodeStatus, RunStatus


class _Shown(Answer):
    id: str
    parent_id: str | None
    input: Any
    output: Any
    error: dict[str, Any] | None
    started_at: TimeOut | None
    completed_at: TimeOut | None
    duration_ms: int | None
    usage: dict[str, Any]


class RunInteraction(_Shown):
    """A run. `parent_id`: the step of another run that waits for it."""

    type: Literal["workflow.run"]
    status: RunStatus
    pause_reason: Literal["requested", "human_input"] | None
    workflow_id: str
    version: int


class StepInteraction(_Shown):
    """A step of a run. `paused` while it waits for a person, who answers `task_id`; `child_execution_id` is the run
    that it waits for. Of a step inside a loop `iterations` counts its passes by status.
    """

    type: str
    status: NodeStatus
    index: int
    step_id: str
    task_id: str | None
    child_execution_id: str | None
    iterations: dict[str, int] | None


class InteractionsOut(Answer):
    """A run and a page of its steps. A large value is given as `{"$truncated": true, "size", "preview"}`."""

    parent: RunInteraction
    items: list[StepInteraction]
    next_cursor: str | None
