"""Runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

from functions.api.schemas.base import Answer, Body, TimeOut
from shared.runs.model import NodeStatus, RunStatus

# Outputs of nodes, by node id and port, that a run takes over instead of running the nodes.
Outputs = Annotated[dict[str, dict[str, Any]], Field(max_length=1_000)]


def _one_problem(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """One problem at the field itself; the alternatives of a union would each give one, at a place that nobody sent."""
    try:
        return handler(value)
    except ValidationError:
        raise PydanticCustomError(
            "version", "Input should be the number of a version, from 1 to 999999, or 'draft'"
        ) from None


Version = Annotated[Annotated[int, Field(ge=1, le=999_999)] | Literal["draft"] | None, WrapValidator(_one_problem)]


class BudgetIn(Body):
    """What models may use in this run: tokens, US dollars by the list of prices. Where the workflow has a budget, less
    than that.
    """

    tokens: Annotated[int, Field(ge=1, le=10**12)] | None = None
    money_usd: Annotated[float, Field(gt=0, le=10**6)] | None = None


class ExecuteIn(Body):
    """How to start a run.

    Without `trigger_node` it starts at the manual trigger, else at the only one. Without `version` it is the published
    one or, while there is none, the draft. The nodes of `pinned` are not run: they deliver these outputs, by port.
    """

    trigger_data: Any = None
    trigger_node: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    version: Version = None
    wait_seconds: Annotated[float, Field(ge=0, le=25)] = 0
    pinned: Outputs = Field(default_factory=dict)
    budget: BudgetIn | None = None


class ExecuteNodeIn(Body):
    """What to run a node with: a value for each input port, and what other nodes deliver where its expressions read
    them, by node and port. `version` as for a run.
    """

    inputs: Annotated[dict[str, Any], Field(max_length=100)] = Field(default_factory=dict)
    trigger_data: Any = None
    outputs_of: Outputs = Field(default_factory=dict)
    version: Version = None
    wait_seconds: Annotated[float, Field(ge=0, le=25)] = 0


class ReplayIn(Body):
    """From where to run anew. The nodes of `edits` deliver these outputs, by port, and are not run. Without `version`
    it is the one of the original run.
    """

    from_node: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    edits: Outputs = Field(default_factory=dict)
    version: Version = None


class RetryIn(Body):
    """How to go on: with the version that the run has, or with another that what it has recorded fits; with the budget
    that the run was given, or with another.
    """

    version: Version = None
    budget: BudgetIn | None = None


class Parent(Answer):
    """The node that has started a run and waits for it. `iteration` counts the loops that the node is in."""

    execution_id: str
    node_id: str
    iteration: list[int]


class ExecutionSummary(Answer):
    """A run in a list. `version` 0 is a draft. `parent` is set for the run of a sub-workflow."""

    id: str
    workflow_id: str
    version: int
    status: RunStatus
    pause_reason: Literal["requested", "human_input"] | None
    triggered_by: dict[str, Any]
    parent: Parent | None
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
    """What a node did. `task_id` is a question's task, `child_execution_id` a sub-workflow's run, `until` the moment
    that a timer waits for. With an `origin` this run has not run the node: its outputs are another run's, a person's
    edit of those, or pinned.
    """

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
    child_execution_id: str | None
    until: TimeOut | None
    origin: Literal["replayed", "edited", "pinned"] | None


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
