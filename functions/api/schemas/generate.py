"""Workflows out of prompts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from functions.api.schemas.base import Answer, Body, TimeOut
from functions.api.schemas.versions import DifferenceOut
from functions.api.schemas.workflows import ProblemOut, WorkflowIn, WorkflowOut
from shared.resources.documents import Agent, Model
from shared.workflows.model import Id
from stepfunctions.generator.apply import MAX_AGENTS

Prompt = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000, pattern=r"^[^\x00]*$")
]
Instructions = Annotated[str, StringConstraints(max_length=10_000, pattern=r"^[^\x00]*$")]
GenerationId = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class GenerateIn(Body):
    """What is wanted. `workflow_id`: change that workflow's draft. Without a `model` it is the tenant's assistant.

    `instructions`: how the tenant wants workflows to be, beside what this one is to do.
    """

    prompt: Prompt
    instructions: Instructions = ""
    model: Model | None = None
    workflow_id: Id | None = None
    wait_seconds: Annotated[float, Field(ge=0, le=25)] = 20


class AgentToCreate(Answer):
    """An agent that `apply` would make: `POST /agents` takes it as it is."""

    name: str
    description: str
    model: Model
    instructions: str
    tools: list[str]
    mcp_servers: list[str]
    memory: dict[str, Any]
    limits: dict[str, Any]


class SuggestedMcp(Answer):
    """An MCP server that somebody could connect. Nothing here connects it."""

    name: str
    url: str | None
    reason: str


class NeededCredential(Answer):
    """A credential that has to be made before the workflow can be published."""

    name: str
    kind: str
    reason: str


class GenerationError(Answer):
    """Why there is no workflow that can be applied."""

    error: str
    message: str


class GenerationOut(Answer):
    """A generation. `running`: ask again. `done`: `apply` can make it. `impossible` and `failed`: `error` says why.

    `workflow` is a document, stored nowhere; of a failed generation it is the last one, with its `problems`. `revision`
    is that of the draft which a change was made from. `left_out`: how many of the tenant's things the model was not
    shown, by kind.
    """

    id: str
    status: Literal["running", "done", "impossible", "failed"]
    repairs: int
    created_at: TimeOut
    workflow_id: str | None
    revision: int | None
    workflow: dict[str, Any] | None
    agents_to_create: list[AgentToCreate]
    existing_agents_used: list[str]
    existing_tools_used: list[str]
    existing_mcps_used: list[str]
    mcps_suggested: list[SuggestedMcp]
    credentials_needed: list[NeededCredential]
    templates_used: list[str]
    explanation: str
    problems: list[ProblemOut]
    diff: DifferenceOut | None
    left_out: dict[str, int]
    error: GenerationError | None


class ApplyIn(Body):
    """What to make: a generation that is done, or a workflow with its new agents, as it may have been edited.

    With a `workflow_id` that workflow's draft is replaced, if it is still at `revision`.
    """

    generation_id: GenerationId | None = None
    workflow: WorkflowIn | None = None
    agents_to_create: Annotated[list[Agent], Field(max_length=MAX_AGENTS)] = Field(default_factory=list)
    workflow_id: Id | None = None
    revision: Annotated[int, Field(ge=1, le=10**15)] | None = None


class AppliedOut(Answer):
    """The workflow's draft, and the names of the agents that were made with it."""

    workflow: WorkflowOut
    agents_created: list[str]
