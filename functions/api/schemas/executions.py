"""Runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from functions.api.schemas.base import Answer, Body, TimeOut

RunStatus = Literal["pending", "running", "paused", "completed", "failed", "cancelled"]
NodeStatus = Literal["pending", "running", "paused", "completed", "failed", "skipped", "cancelled"]


class ExecuteIn(Body):
    """How to start a run.

    Without `trigger_node` it starts at the manual trigger, else at the only one. Without `version` it is the published
    one or, while there is none, the draft.
    """

    trigger_data: Any = None
    trigger_node: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    version: Annotated[int, Field(ge=1, le=999_999)] | Literal["draft"] | None = None
    wait_seconds: Annotated[float, Field(ge=0, le=25)] = 0


class ExecutionSummary(Answer):
    """A run in a list. `version` 0 is a draft."""

    id: str
    workflow_id: str
    version: int
    status: RunStatus
    pause_reason: Literal["requested", "human_input"] | None
    triggered_by: dict[str, Any]
    trigger_node: str | None
    created_at: TimeOut
    started_at: TimeOut | None
    completed_at: TimeOut | None
    duration_ms: int | None
    error: dict[str, Any] | None


class ExecutionOut(ExecutionSummary):
    """A run. A large value is given as `{"$truncated": true, "size", "preview"}`.

    `pause_requested`: somebody asked it to pause, and it rests at the next node boundary or does already.
    `attempt` counts from 0; a retry is another.
    """

    pause_requested: bool
    attempt: int
    trigger_data: Any
    final_output: Any


class NodeExecution(Answer):
    """What a node did. `task_id` is a question's task, `until` the moment that a timer waits for."""

    type: str
    status: NodeStatus
    started_at: TimeOut | None
    completed_at: TimeOut | None
    duration_ms: int | None
    attempts: int
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    error: dict[str, Any] | None
    usage: dict[str, Any]
    logs: list[dict[str, Any]]
    task_id: str | None
    until: TimeOut | None


class NodeInRun(NodeExecution):
    """A node of a run; for one in a loop the sum of its iterations, which `iterations` counts by status."""

    iterations: dict[str, int] | None = None


class ExecutionDetail(ExecutionOut):
    """A run with its nodes. `usage` is the sum over them."""

    usage: dict[str, Any]
    node_executions: dict[str, NodeInRun]


class NodeIteration(NodeExecution):
    """One run of a node. `iteration` counts the loops it is in, from the outermost; empty outside of loops."""

    iteration: list[int]


class NodeOut(Answer):
    """Every run of one node. A value too large for an answer comes with the `url` of the whole."""

    node_id: str
    type: str
    status: NodeStatus
    items: list[NodeIteration]
    next_cursor: str | None


class EventsOut(Answer):
    """What happened in a run, in order. Ask again with `after` for what comes next."""

    items: list[dict[str, Any]]
    next_cursor: str | None
    after: str
