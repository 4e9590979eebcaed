"""The workflow document: one format for the API, the builder, templates, import and the compiler.

Well-formed is what these models accept; that is enough to save a draft. Whether it can *run* is the compiler's to say.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.metadata import Metadata

ID_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9_-]{0,99}$"
MAX_NODES: Final = 1_000
MAX_CONNECTIONS: Final = 5_000
MAX_DEPTH: Final = 5  # levels of containers
MAX_TRIGGERS: Final = 50
YEAR_SECONDS: Final = 365 * 86_400

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Port = Annotated[str, StringConstraints(min_length=1, max_length=100)]
ErrorPolicy = Literal["fail", "continue", "branch"]


class Part(BaseModel):
    """Base of the document's parts: frozen, and an unknown field is an error that names it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Position(Part):
    """Where a node stands on the canvas; no effect on a run."""

    x: float
    y: float


class RetryPolicy(Part):
    """Attempts after the first failure. The n-th wait is interval * backoff_rate^(n-1) seconds, at most the maximum."""

    max_attempts: int = Field(ge=0, le=100)
    interval_seconds: float = Field(default=1, ge=0, le=3_600)
    backoff_rate: float = Field(default=2, ge=1, le=10)
    max_interval_seconds: float = Field(default=60, ge=0, le=3_600)


class Node(Part):
    """One step of the workflow."""

    id: Id
    type: str = Field(min_length=1, max_length=100)
    name: str | None = Field(default=None, max_length=200)
    position: Position | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, Any] = Field(default_factory=dict)
    parent: Id | None = None
    retry: RetryPolicy | None = None
    timeout_seconds: float | None = Field(default=None, gt=0, le=YEAR_SECONDS)
    on_error: ErrorPolicy | None = None
    idempotent: bool = True
    disabled: bool = False
    notes: str | None = Field(default=None, max_length=10_000)
    metadata: Metadata = Field(default_factory=dict)  # as notes: for people and their tools, no effect on a run


class Connection(Part):
    """A value's way from an output port to an input port."""

    id: Id
    source_node: Id
    source_port: Port
    target_node: Id
    target_port: Port


class Budget(Part):
    """What models may use in a run: tokens, US dollars by the list of prices."""

    tokens: int | None = Field(default=None, ge=1, le=10**12)
    money_usd: float | None = Field(default=None, gt=0, le=10**6)


class AsTool(Part):
    """The published workflow as a tool of the tenant's MCP server. Without a name, it is made of the workflow's."""

    enabled: bool = True
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    description: str = Field(default="", max_length=2_000)


class WorkflowSettings(Part):
    """How the whole workflow runs."""

    timeout_seconds: int = Field(default=86_400, ge=1, le=YEAR_SECONDS)
    granularity: Literal["segment", "node"] = "segment"
    max_concurrency: int | None = Field(default=None, ge=1, le=10_000)
    budget: Budget | None = None
    require_tests: bool = False  # publishing runs the workflow's tests, and refuses when one fails
    error_workflow: Id | None = None  # started when a run of this one fails
    mcp: AsTool | None = None


class Document(Part):
    """A workflow. `id` is given by the server when absent."""

    id: Id | None = None
    name: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=1_000)
    category: str | None = Field(default=None, max_length=100)
    tags: tuple[Annotated[str, StringConstraints(min_length=1, max_length=50)], ...] = Field(default=(), max_length=50)
    nodes: tuple[Node, ...] = Field(default=(), max_length=MAX_NODES)
    connections: tuple[Connection, ...] = Field(default=(), max_length=MAX_CONNECTIONS)
    variables: dict[str, Any] = Field(default_factory=dict)
    settings: WorkflowSettings = WorkflowSettings()
    metadata: Metadata = Field(default_factory=dict)
