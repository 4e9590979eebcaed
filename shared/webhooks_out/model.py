"""A subscription to events by webhook, and what is delivered to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from shared.events.model import GUIDED_TYPES, TYPES
from shared.ids import digest

EVERYTHING: Final = "*"
EVENTS: Final[frozenset[str]] = GUIDED_TYPES | {t for t in TYPES if t.startswith(("execution_", "task_"))}
TEST_EVENT: Final = "webhook_test"
MAX_SUBSCRIPTIONS: Final = 50

DeliveryStatus = Literal["pending", "delivered", "dead"]
DisabledReason = Literal["gone", "failing"]


@dataclass(frozen=True, slots=True)
class WebhookSubscription:
    """Where to send which events. Times are milliseconds since the epoch.

    `events` are types of events, or `*` alone; `workflow_ids` None means all workflows. `secret` is sealed; so is
    `previous`, the one before it, which signs as well until `previous_until`. `disabled_reason` says why the platform
    has made it inactive: the receiver answered 410 (`gone`), or took nothing for as long as is tried (`failing`).
    `accepted_at` is when the receiver last took something, to ten minutes. `version` counts people's changes.
    """

    id: str
    url: str
    events: tuple[str, ...]
    workflow_ids: tuple[str, ...] | None
    description: str
    active: bool
    secret: bytes
    created_at: int
    created_by: str
    updated_at: int
    previous: bytes | None = None
    previous_until: int = 0
    disabled_reason: DisabledReason | None = None
    accepted_at: int = 0
    version: int = 1

    def wants(self, kind: str, workflow_id: str | None) -> bool:
        """Whether an event of this type, of a run of this workflow (None: of no workflow), is to be sent."""
        fits = self.workflow_ids is None or workflow_id in self.workflow_ids
        return self.active and fits and (self.events == (EVERYTHING,) or kind in self.events)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one subscription; `id` is the message's `webhook-id`, in every attempt. Times are ms.

    `body` is the JSON that is signed and sent. `attempts` counts all attempts; `round_attempts` and `round_at` are the
    attempts before, and the moment of, the delivery's last beginning: a replay begins anew. `lease` is until when the
    one who attempts it has it. `response_status` and `error` are of the last attempt.
    """

    id: str
    subscription_id: str
    type: str
    body: str
    status: DeliveryStatus
    created_at: int
    round_at: int
    attempts: int = 0
    round_attempts: int = 0
    next_attempt_at: int | None = None
    lease: int = 0
    last_attempt_at: int | None = None
    response_status: int | None = None
    error: str | None = None
    completed_at: int | None = None


def delivery_id(at: int, *parts: str) -> str:
    """The same for the same parts; sorts by `at` (ms)."""
    return f"dl_{at:012x}{digest(*parts)[:20]}"
