"""Webhook subscriptions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from functions.api.schemas.base import Answer, Body, Text, TimeOut
from shared.webhooks_out.model import DeliveryStatus, DisabledReason
from shared.webhooks_out.service import MAX_GRACE_S
from shared.workflows.model import Id

Url = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Events = Annotated[list[Annotated[str, StringConstraints(max_length=100)]], Field(min_length=1, max_length=50)]
WorkflowIds = Annotated[list[Id], Field(min_length=1, max_length=100)]


class WebhookSubscriptionIn(Body):
    """Where to send which events. `events`: types of events, or `["*"]`; `workflow_ids`: null means all workflows."""

    url: Url
    events: Events = Field(default_factory=lambda: ["*"])
    workflow_ids: WorkflowIds | None = None
    description: Text = ""
    active: bool = True


class WebhookSubscriptionPatch(Body):
    """What to change. `active: true` takes one up again that was made inactive."""

    url: Url | None = None
    events: Events | None = None
    workflow_ids: WorkflowIds | None = None
    description: Text | None = None
    active: bool | None = None


class WebhookSubscriptionOut(Answer):
    """A subscription, without its secret. `disabled_reason` is `gone` (the receiver answered 410) or `failing` (it took
    nothing for as long as deliveries are tried); null if people have made it what it is.
    """

    id: str
    url: str
    events: list[str]
    workflow_ids: list[str] | None
    description: str
    active: bool
    disabled_reason: DisabledReason | None
    created_at: TimeOut
    created_by: str
    updated_at: TimeOut


class NewSubscriptionSecret(WebhookSubscriptionOut):
    """A subscription with the secret that was just made. `secret` is shown this once."""

    secret: str


class RotateSubscriptionIn(Body):
    """How to replace the secret: for `grace_seconds` each delivery is signed with the old one as well."""

    grace_seconds: Annotated[int, Field(ge=0, le=MAX_GRACE_S)] = 86_400


class DeliveryOut(Answer):
    """One event for one subscription. `id` is sent as `webhook-id`. `response_status` and `error` are of the last
    attempt; `next_attempt_at` is null once it is `delivered`, or `dead`: given up.
    """

    id: str
    type: str
    status: DeliveryStatus
    attempts: int
    response_status: int | None
    error: str | None
    created_at: TimeOut
    last_attempt_at: TimeOut | None
    next_attempt_at: TimeOut | None
    completed_at: TimeOut | None
