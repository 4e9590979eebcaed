"""From events to deliveries: a record for each subscription that wants one, and a message that it is to be delivered.

The record is the truth; messages may be lost with their senders, doubled, or late. Whoever has written a record sends
its message after it, and whoever hands an event over again sends the message again while nothing was attempted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.aws import sqs
from shared.clock import iso, now_ms
from shared.events.model import Event, GuidedEvent
from shared.settings import settings
from shared.store.table import TenantTable
from shared.tenancy import Tenant, from_envelope
from shared.webhooks_out.model import EVENTS, Delivery, delivery_id
from shared.webhooks_out.store import WebhookSubscriptionStore
from shared.workflows.record import is_inner


@dataclass(frozen=True, slots=True)
class Message:
    """Make this attempt (0: the first) of this delivery."""

    tenant: Tenant
    subscription_id: str
    delivery_id: str
    attempt: int

    @classmethod
    def read(cls, body: str) -> Message:
        """From a message's body. Raises ValueError, KeyError, TypeError for what is none of ours."""
        told = json.loads(body)
        return cls(from_envelope(told), str(told["subscription"]), str(told["delivery"]), int(told["attempt"]))

    def send(self, delay_s: int = 0) -> None:
        """Into the queue. Raises Unavailable."""
        told = {
            "tenant": self.tenant.id,
            "subscription": self.subscription_id,
            "delivery": self.delivery_id,
            "attempt": self.attempt,
        }
        sqs.send(settings().deliveries_queue, told, group=self.tenant.id, delay_s=delay_s)


def tell(tenant: Tenant, subject_id: str, events: Sequence[Event | GuidedEvent]) -> None:
    """Have the events of a run and of its tasks, or of a guided conversation, delivered to whoever wants them. Doing it
    again changes nothing. Of runs that are the platform's own nobody is told: what they are for tells of itself.

    Raises Unavailable: hand the events over again.
    """
    told = [e for e in events if e.type in EVENTS and not is_inner(e.workflow_id)]
    if not told:
        return
    store = WebhookSubscriptionStore(TenantTable(tenant))
    for subscription in store.all():
        for event in told:
            if subscription.wants(event.type, event.workflow_id):
                key = delivery_id(event.at, subscription.id, subject_id, event.sequence)
                facts = event.as_dict()
                kind, at = facts.pop("type"), facts.pop("at")
                post(tenant, store, _delivery(key, subscription.id, kind, at, facts, event.at))


def post(tenant: Tenant, store: WebhookSubscriptionStore, wanted: Delivery) -> Delivery:
    """Keep a delivery and send the message for it, unless that is under way. Raises Unavailable."""
    kept = store.add(wanted)
    if kept.status == "pending" and kept.attempts == 0:
        Message(tenant, kept.subscription_id, kept.id, 0).send()
    return kept


def begin_again(tenant: Tenant, store: WebhookSubscriptionStore, delivery: Delivery) -> Delivery | None:
    """Have a delivery tried anew, now and with all attempts. None: it is no more as it was read. Raises Unavailable:
    do it again.
    """
    now = now_ms()
    again = replace(
        delivery,
        status="pending",
        round_attempts=delivery.attempts,
        round_at=max(now, delivery.round_at + 1),  # what tells the rounds apart
        next_attempt_at=now,
        completed_at=None,
    )
    names = ("status", "round_attempts", "round_at", "next_attempt_at", "completed_at")
    if not store.record(delivery, {name: getattr(again, name) for name in names}):
        return None
    Message(tenant, delivery.subscription_id, delivery.id, delivery.attempts).send()
    return again


def made(key: str, subscription_id: str, kind: str, data: Mapping[str, Any], now: int) -> Delivery:
    """A new delivery of something that happens now (ms)."""
    return _delivery(key, subscription_id, kind, iso(now), data, now)


def _delivery(key: str, subscription_id: str, kind: str, at: str, data: Mapping[str, Any], made_at: int) -> Delivery:
    now = now_ms()
    body = json.dumps({"type": kind, "timestamp": at, "data": data}, ensure_ascii=False, separators=(",", ":"))
    return Delivery(
        id=key,
        subscription_id=subscription_id,
        type=kind,
        body=body,
        status="pending",
        created_at=made_at,
        round_at=now,
        next_attempt_at=now,
    )
