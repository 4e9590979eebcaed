"""Guided workflows: templates, the steps they share, permissions, instances. Documents: `shared.guided.documents`."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from functions.api.schemas.base import Answer, Body, TimeOut
from functions.api.schemas.pages import PageOf
from functions.api.schemas.resources import Kept, SummaryOut, summary_of
from shared.guided.documents import EndAction, FieldName, StepDefinition, Template
from shared.guided.model import CONVERSATION, Phase, Status
from shared.resources.model import NAME, ResourceSummary
from shared.store.pages import Listing

ConversationId = Annotated[str, StringConstraints(pattern=CONVERSATION)]
TemplateName = Annotated[str, StringConstraints(pattern=NAME)]
Wait = Annotated[float, Field(ge=0, le=25)]


def _day(text: str) -> str:
    return date.fromisoformat(text).isoformat()


Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), AfterValidator(_day)]


class WorkflowTemplateOut(Kept, Template):
    """A template of a guided workflow."""


class WorkflowTemplateSummary(SummaryOut):
    """A template in a list."""

    category: str
    is_active: bool
    end_action_type: EndAction


class WorkflowStepOut(Kept, StepDefinition):
    """A step that templates may use."""


class WorkflowStepSummary(SummaryOut):
    """A step definition in a list."""

    title: str


class PermissionIn(Body):
    """Let the users of a type use a template."""

    user_type_id: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_]+$")]
    template: TemplateName


class PermissionOut(Answer):
    """A user type may use a template."""

    id: str
    user_type_id: str
    template: str
    created_at: TimeOut
    created_by: str


class InstanceIn(Body):
    """A conversation to begin. Without `conversation_id` it gets one; `state` is what is known already."""

    template: TemplateName
    conversation_id: ConversationId | None = None
    state: Annotated[dict[FieldName, Any], Field(max_length=200)] = Field(default_factory=dict)


class InstanceSummary(Answer):
    """A conversation in a list. `template_version` is the version that it follows, also when the template changes."""

    id: str
    template: str
    template_version: int
    conversation_id: str
    user_id: str
    status: Status
    phase: Phase
    reason: str | None
    version: int
    created_at: TimeOut
    updated_at: TimeOut
    expires_at: TimeOut
    ended_at: TimeOut | None


class EvidenceOut(Answer):
    """Why a field has its value: what the person said, in which message, or (`by`) who else set it."""

    quote: str | None = None
    message: int | None = None
    by: str | None = None


class StepOut(Answer):
    """Where a step stands."""

    id: str
    name: str
    status: Literal["done", "current", "open", "skipped", "not_applicable"]


class RefusedOut(Answer):
    """What was proposed for a field, or a step, and not taken."""

    field: str
    reason: str


class PendingOut(Answer):
    """The message that has no answer yet."""

    number: int
    since: TimeOut


class SummaryLine(Answer):
    """A value that the person is asked to agree to."""

    field: str
    title: str
    value: Any
    quote: str | None


class EndActionOut(Answer):
    """The end action, once it has begun. `result` is there if it is short."""

    type: EndAction
    execution_id: str | None
    attempt: int
    result: Any


class InstanceOut(InstanceSummary):
    """A conversation. `missing` are the open fields of the current step, `problems` what is not right about it.

    `summary` is there while the person is asked to agree (`phase` confirming).
    """

    state: dict[str, Any]
    evidence: dict[str, EvidenceOut]
    current_step: str | None
    missing: list[str]
    problems: list[str]
    steps: list[StepOut]
    pending: PendingOut | None
    summary: list[SummaryLine] | None
    end_action: EndActionOut | None
    error: dict[str, Any] | None


class DocumentIn(Body):
    """Something the person hands over: shown to the model, and never taken for what they said."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
    content: Annotated[str, StringConstraints(min_length=1, max_length=50_000)]


class SayIn(Body):
    """A person's message."""

    content: Annotated[str, StringConstraints(min_length=1, max_length=8_000, pattern=r"\S")]
    documents: Annotated[list[DocumentIn], Field(max_length=3)] = Field(default_factory=list)
    wait_seconds: Wait = 25


class TurnOut(Answer):
    """What came of a message. `reply` is the assistant's; `taken` and `refused` are what it proposed for the state.

    `failed`: the model gave no answer, `error` says why, and the state is as it was.
    """

    number: int
    status: Literal["pending", "answered", "failed"]
    reply: str | None
    taken: list[str]
    refused: list[RefusedOut]
    error: dict[str, Any] | None


class SaidOut(Answer):
    """The turn, and the conversation after it."""

    turn: TurnOut
    instance: InstanceOut


class GuidedMessageOut(Answer):
    """What was said."""

    number: int
    role: Literal["user", "assistant"]
    content: str
    source: str
    at: TimeOut
    documents: list[dict[str, str]]
    taken: list[str]
    refused: list[RefusedOut]
    error: dict[str, Any] | None


class StateIn(Body):
    """Fields to set, and fields to take the value of away."""

    state: Annotated[dict[FieldName, Any], Field(max_length=200)] = Field(default_factory=dict)
    remove: Annotated[list[FieldName], Field(max_length=200)] = Field(default_factory=list)


class WaitIn(Body):
    """How long to wait for the end action."""

    wait_seconds: Wait = 25


class StepAnalytics(Answer):
    """How many conversations came to a step, and how many ended there without being completed."""

    step: str
    reached: int
    left: int


class GuidedAnalytics(Answer):
    """What became of the conversations of a template. `completion_rate` is of those that have ended.

    Times are seconds from the beginning to the end of those that were completed; the median is exact to a power of 2.
    """

    template: str
    started: int
    active: int
    completed: int
    cancelled: int
    expired: int
    failed: int
    completion_rate: float | None
    mean_seconds: float | None
    median_seconds: int | None
    steps: list[StepAnalytics]


def summaries_of(found: Listing[ResourceSummary]) -> PageOf[WorkflowTemplateSummary]:
    """Templates as lists show them."""
    page = {"items": [summary_of(r) for r in found.items], "next_cursor": found.next_cursor}
    return PageOf[WorkflowTemplateSummary].model_validate(page)


def analytics_of(template: str, counts: Counter[str]) -> GuidedAnalytics:
    """Counters as people read them."""
    ended = counts["completed"] + counts["cancelled"] + counts["failed"]
    steps = {name.partition(".")[2] for name in counts if name.startswith(("reached.", "left."))}
    completed = counts["completed"]
    return GuidedAnalytics(
        template=template,
        started=counts["started"],
        active=counts["active"],
        completed=completed,
        cancelled=counts["cancelled"],
        expired=counts["expired"],
        failed=counts["failed"],
        completion_rate=round(completed / ended, 4) if ended > 0 else None,
        mean_seconds=round(counts["milliseconds"] / completed / 1000, 3) if completed > 0 else None,
        median_seconds=_median(counts),
        steps=[
            StepAnalytics(step=step, reached=counts[f"reached.{step}"], left=counts[f"left.{step}"])
            for step in sorted(steps)
        ],
    )


def _median(counts: Counter[str]) -> int | None:
    """The power of two (seconds) at or below the median."""
    powers = sorted((int(n.partition(".")[2]), amount) for n, amount in counts.items() if n.startswith("took."))
    total, seen = sum(amount for _, amount in powers), 0
    for power, amount in powers:
        seen += amount
        if 2 * seen >= total:
            return int(2**power)
    return None
