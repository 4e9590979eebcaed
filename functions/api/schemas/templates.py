"""Templates of workflows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from functions.api.schemas.base import Answer, Body, TimeOut
from functions.api.schemas.workflows import ProblemOut, WorkflowOut

Named = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Description = Annotated[str, StringConstraints(max_length=1_000)]
Category = Annotated[str, StringConstraints(max_length=100)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=50)]
Tags = Annotated[list[Tag], Field(max_length=50)]


class TemplateSummary(Answer):
    """A template without its document. `parameters` is a JSON Schema; the library's have no times."""

    id: str
    source: Literal["library", "tenant"]
    name: str
    description: str
    category: str | None
    tags: list[str]
    version: int
    parameters: dict[str, Any]
    created_at: TimeOut | None
    updated_at: TimeOut | None
    updated_by: str | None


class TemplateOut(TemplateSummary):
    """A template; where its document says `{"$param": "name"}`, a parameter is put in."""

    document: dict[str, Any]


class InstantiateIn(Body):
    """Values of the parameters, and what the workflow is called: without a name, like the template."""

    name: Named | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)


class DraftOut(WorkflowOut):
    """A new draft, and its problems: what keeps it from running, and what the tenant lacks for it."""

    problems: list[ProblemOut]


class ChosenIn(Body):
    """A value of the workflow that becomes a parameter: `nodes.<id>.config.model`, `variables.limit`.

    The value is the parameter's default, unless it is `required`. Without a schema, any value of its type goes.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
    path: Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
    title: Annotated[str, StringConstraints(max_length=200)] = ""
    description: Description = ""
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    required: bool = False


class TemplateOfIn(Body):
    """Which values become parameters, and what is said of the template; what is not given is as in the workflow."""

    name: Named | None = None
    description: Description | None = None
    category: Category | None = None
    tags: Tags | None = None
    parameters: Annotated[list[ChosenIn], Field(max_length=100)] = Field(default_factory=list)


class TemplatePatch(Body):
    """What is changed; an empty category is none."""

    name: Named | None = None
    description: Description | None = None
    category: Category | None = None
    tags: Tags | None = None
    parameters: dict[str, Any] | None = None
    document: dict[str, Any] | None = None
