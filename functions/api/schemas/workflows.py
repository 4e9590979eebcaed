"""Workflows."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from functions.api.schemas.base import Answer, Body, Text, TimeOut
from shared.workflows.model import Document
from shared.workflows.service import document_of
from shared.workflows.steps.model import Written
from shared.workflows.steps.to_document import document_of_written

# What an answer adds to the document. A request may send it back; it is not looked at.
READ_ONLY: Final = (
    "revision",
    "is_active",
    "published_version",
    "latest_version",
    "created_at",
    "updated_at",
    "created_by",
    "origin",
)
Ignored = Annotated[Any, Field(exclude=True, json_schema_extra={"readOnly": True})]


class WorkflowIn(Written):
    """A workflow to store: a document, or steps that stand for one. Any that is well-formed is taken."""

    revision: Ignored = None
    is_active: Ignored = None
    published_version: Ignored = None
    latest_version: Ignored = None
    created_at: Ignored = None
    updated_at: Ignored = None
    created_by: Ignored = None
    origin: Ignored = None

    def document(self) -> Document:
        """The document that it is, or that its steps stand for. Raises Invalid."""
        return self if self.steps is None else document_of(document_of_written(self))


class WorkflowSummary(Answer):
    """A workflow without its document. `is_active`: a version of it is published. `origin`: what it was made of."""

    id: str
    name: str
    description: str
    category: str | None
    tags: list[str]
    revision: int
    is_active: bool
    published_version: int | None
    latest_version: int
    created_at: TimeOut
    updated_at: TimeOut
    created_by: str
    origin: dict[str, Any] | None = None


class WorkflowOut(WorkflowSummary):
    """A workflow with its draft."""

    nodes: list[dict[str, Any]]
    connections: list[dict[str, Any]]
    variables: dict[str, Any]
    settings: dict[str, Any]
    metadata: dict[str, str] = Field(default_factory=dict)


class WorkflowStepsOut(WorkflowSummary):
    """A workflow with its draft as steps. `connections` is null where the steps say how they are connected."""

    steps: list[dict[str, Any]]
    entry_step: str | None
    output: bool
    connections: list[dict[str, Any]] | None
    connection_ids: dict[str, str]
    variables: dict[str, Any]
    settings: dict[str, Any]
    metadata: dict[str, str] = Field(default_factory=dict)


class CopyIn(Body):
    """What a copy is called; without a name, like the original with " (copy)"."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None


class PublishIn(Body):
    """What to publish: the draft, at this revision if it is given. `notes` are for people."""

    revision: Annotated[int, Field(ge=1, le=10**15)] | None = None
    notes: Text = ""


class ProblemOut(Answer):
    """One problem of a document; only errors keep it from running."""

    code: str
    message: str
    node_id: str | None
    path: str | None
    severity: Literal["error", "warning"]


class ValidationOut(Answer):
    """All problems of a document; it is valid if none of them is an error."""

    valid: bool
    problems: list[ProblemOut]


class VersionSummary(Answer):
    """A published version, without its document. `revision` is the draft's that it was made from."""

    version: int
    revision: int
    published_at: TimeOut
    published_by: str
    notes: str


class VersionOut(VersionSummary):
    """A published version with its document."""

    document: dict[str, Any]


class PublishedOut(VersionSummary):
    """A new version, and the triggers of the workflow as they now are; secrets of new ones are shown this once."""

    workflow_id: str
    triggers: list[dict[str, Any]]


class AslOut(Answer):
    """The state machine that a version (0: the draft) compiles to, and the hash that names it."""

    workflow_id: str
    version: int
    machine: str
    definition: dict[str, Any]
    explain: dict[str, Any] | None = None
