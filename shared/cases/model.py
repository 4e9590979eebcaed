"""Tests of a workflow as people write them: what it is given, what stands in for the world, what is expected of it.

A case is plain JSON: the models here say what is well-formed, `stepfunctions.rehearsal` plays it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, model_validator

from shared.workflows.model import ID_PATTERN, YEAR_SECONDS, Id, Part

MAX_CASES: Final = 200  # of one workflow
MAX_NAMED: Final = 1_000  # nodes that one case speaks of
MAX_ANSWERS: Final = 1_000  # in a list of stand-ins or answers
# A node of the workflow, or with its pass one in a loop: `each/3/ask`, as the runs' records name it.
PLACE_PATTERN: Final = r"^([A-Za-z][A-Za-z0-9_-]{0,99}/[0-9]{1,7}/){0,5}" + ID_PATTERN[1:]

Place = Annotated[str, StringConstraints(pattern=PLACE_PATTERN)]
_Text = Annotated[str, StringConstraints(max_length=2_000, pattern=r"^[^\x00]*$")]
_Port = Annotated[str, StringConstraints(min_length=1, max_length=100)]
_Error = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.]{0,99}$")]


class Mock(Part):
    """What a node gives, or fails with, instead of being run."""

    outputs: Annotated[dict[_Port, Any], Field(max_length=200)] | None = None
    error: _Error | None = None
    message: _Text = ""

    @model_validator(mode="after")
    def _one(self) -> Mock:
        if (self.outputs is None) == (self.error is None):
            raise ValueError("give either outputs or error")
        return self


class HumanAnswer(Part):
    """What a person answers; `timeout`: nobody does in time."""

    decision: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    data: dict[str, Any] | None = None
    comment: _Text | None = None
    after_seconds: Annotated[float, Field(ge=0, le=YEAR_SECONDS)] = 0
    timeout: bool = False

    @model_validator(mode="after")
    def _one(self) -> HumanAnswer:
        if (self.decision is None) is not self.timeout:
            raise ValueError("give either decision or timeout")
        return self


class Expected(Part):
    """What a value must be: exactly this, at least this (objects may have more fields), or what a JSON Schema says."""

    equals: Any = None
    contains: Any = None
    matches: dict[str, Any] | None = Field(default=None, alias="schema")

    @model_validator(mode="after")
    def _one(self) -> Expected:
        if len(self.model_fields_set) != 1:
            raise ValueError("give one of equals, contains and schema")
        return self


class ExpectedError(Part):
    """The failure with which the run must end."""

    error: _Error | None = None
    node_id: Id | None = None


class Assertion(Part):
    """What must be true of a node. What is not named may be anything."""

    output: Expected | None = None  # of its first output port
    outputs: Annotated[dict[_Port, Expected], Field(max_length=200)] = Field(default_factory=dict)
    should_error: bool | _Error | None = None
    was_skipped: bool | None = None
    attempts: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    runs: Annotated[int, Field(ge=0, le=1_000_000)] | None = None  # passes in which it was not skipped


_Mocks = Mock | Annotated[list[Mock], Field(min_length=1, max_length=MAX_ANSWERS)]
_Answers = HumanAnswer | Annotated[list[HumanAnswer], Field(min_length=1, max_length=MAX_ANSWERS)]


class Case(Part):
    """One test of a workflow.

    A list of `mocks` or `answers` is used up one by one, by each call of the node; a single one stands for all calls.
    `now` is when the run starts (RFC 3339; else the real time). Without `expected_status`, the run must fail where
    `expected_error` is given and may where a node `should_error` and nothing handles it; else it must complete.
    """

    name: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
    description: _Text = ""
    trigger_node: Id | None = None
    trigger_data: Any = None
    now: Annotated[str, StringConstraints(max_length=40)] | None = None
    mocks: Annotated[dict[Id, _Mocks], Field(max_length=MAX_NAMED)] = Field(default_factory=dict)
    answers: Annotated[dict[Id, _Answers], Field(max_length=MAX_NAMED)] = Field(default_factory=dict)
    expected_status: Literal["completed", "failed"] | None = None
    expected_output: Expected | None = None
    expected_error: ExpectedError | None = None
    assertions: Annotated[dict[Place, Assertion], Field(max_length=MAX_NAMED)] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeptCase:
    """A case as it is stored: as plain JSON, `revision` counts its changes. Times are milliseconds since the epoch."""

    id: str
    workflow_id: str
    case: dict[str, Any]
    revision: int
    created_at: int
    updated_at: int
    created_by: str

    def read(self) -> Case:
        """The case."""
        return Case.model_validate(self.case)
