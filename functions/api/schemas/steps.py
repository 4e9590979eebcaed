"""Steps of workflows, and their canvas."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from functions.api.schemas.base import Answer, Body
from shared.workflows.model import MAX_CONNECTIONS, MAX_NODES, Id, Port, Position
from shared.workflows.steps.model import WrittenStep


class AddStepIn(Body):
    """A step, and where it goes: behind the step `after`; or at the end of what is `inside` a step, of its body or of
    the branch that is named (`then`, `else`, the number of a parallel branch, a port); or at the end.
    """

    step: WrittenStep
    after: Id | None = None
    inside: Id | None = None
    branch: Port | None = None


class ReorderIn(Body):
    """The ids of all steps of one list, in their new order."""

    order: Annotated[list[Id], Field(min_length=1, max_length=MAX_NODES)]


class ConnectIn(Body):
    """Which step comes after this one. Without ports: from where the step goes on, to where its value is taken."""

    to: Id
    port: Port | None = None
    to_port: Port | None = None


class StepsOut(Answer):
    """The steps of a draft; `step_id` is the one that the request was about."""

    workflow_id: str
    revision: int
    step_id: str | None
    steps: list[dict[str, Any]]
    entry_step: str | None
    output: bool
    connections: list[dict[str, Any]] | None
    connection_ids: dict[str, str]


class Drawn(BaseModel):
    """Base of what a canvas sends: what React Flow keeps beside (sizes, selection, style) is not looked at."""

    model_config = ConfigDict(extra="ignore")


class CanvasNode(Drawn):
    """A node on a canvas. `data` is the rest of the node: config, inputs, name, …; `label` in it is not looked at."""

    id: Id
    type: Annotated[str, Field(min_length=1, max_length=100)]
    position: Position
    parentId: Id | None = None
    data: dict[str, Any] = Field(default_factory=dict)


class CanvasEdge(Drawn):
    """An edge on a canvas: a connection."""

    id: Id
    source: Id
    sourceHandle: Port
    target: Id
    targetHandle: Port


class CanvasIn(Drawn):
    """All nodes and edges of a canvas."""

    nodes: Annotated[list[CanvasNode], Field(max_length=MAX_NODES)]
    edges: Annotated[list[CanvasEdge], Field(max_length=MAX_CONNECTIONS)]


class CanvasOut(Answer):
    """A draft as React Flow draws it. Nodes stand after the container that they are in (`parentId`)."""

    workflow_id: str
    revision: int
    nodes: list[dict[str, Any]]
    edges: list[dict[str, Any]]
