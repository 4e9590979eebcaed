"""Tests of a workflow."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from functions.api.schemas.base import Answer, Body, TimeOut
from functions.api.schemas.executions import Version
from functions.api.schemas.workflows import Ignored
from shared.cases.model import MAX_CASES, Case

_CaseId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,100}$")]


class CaseIn(Case):
    """A test to keep. What an answer adds to it may be sent back; it is not looked at."""

    id: Ignored = None
    workflow_id: Ignored = None
    revision: Ignored = None
    created_at: Ignored = None
    updated_at: Ignored = None
    created_by: Ignored = None


class CaseOut(Answer):
    """A test, as it was given."""

    id: str
    workflow_id: str
    revision: int
    created_at: TimeOut
    updated_at: TimeOut
    created_by: str
    name: str
    description: str = ""
    trigger_node: str | None = None
    trigger_data: Any = None
    now: str | None = None
    mocks: dict[str, Any] = Field(default_factory=dict)
    answers: dict[str, Any] = Field(default_factory=dict)
    expected_status: Literal["completed", "failed"] | None = None
    expected_output: dict[str, Any] | None = None
    expected_error: dict[str, Any] | None = None
    assertions: dict[str, Any] = Field(default_factory=dict)


class RunCasesIn(Body):
    """Which tests to run: `cases` by id, `unsaved` ones; neither: all that are kept. Without `version`: the draft."""

    cases: Annotated[list[_CaseId], Field(max_length=MAX_CASES)] | None = None
    unsaved: Annotated[list[Case], Field(max_length=MAX_CASES)] = Field(default_factory=list)
    version: Version = None


class CaseProblemOut(Answer):
    """Why a test failed, beside values that are not as expected."""

    code: str
    message: str
    path: str | None
    node_id: str | None


class CaseDifferenceOut(Answer):
    """A place where a value is not as expected: `changed`, `missing`, `unexpected`, or what its `schema` says of it."""

    path: str
    kind: Literal["changed", "missing", "unexpected", "schema"]
    expected: Any
    found: Any


class CaseResultOut(Answer):
    """What became of a test. `status`, `output`, `error` are the run's; `nodes` sums up its nodes' passes by node id.

    `asked` are the questions that people were asked; `virtual_seconds` passed for the run, `milliseconds` in fact.
    """

    id: str | None
    name: str
    passed: bool
    problems: list[CaseProblemOut]
    differences: list[CaseDifferenceOut]
    status: str | None
    output: Any
    error: dict[str, Any] | None
    nodes: dict[str, dict[str, Any]]
    asked: list[dict[str, Any]]
    virtual_seconds: float
    milliseconds: int


class CaseResultsOut(Answer):
    """What became of tests, run on this version (0: the draft)."""

    workflow_id: str
    version: int
    passed: bool
    counts: dict[str, int]
    cases: list[CaseResultOut]
