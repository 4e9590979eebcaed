"""One attempt to deliver a webhook, and what follows from it.

Of the messages that ask for the same attempt one gets it. The message for the next attempt is sent before this one's
end is recorded: a call that dies leaves its own message, which comes again, or that one. What was sent may be sent
again, with the same `webhook-id`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from standardwebhooks import Webhook

from shared.aws.sqs import MAX_DELAY_S
from shared.clock import now_ms
from shared.errors import NotFound, PreconditionFailed
from shared.log import logger
from shared.notifications.admins import tell_admins
from shared.outbound.hosts import AddressRefused, NameNotFound
from shared.outbound.transport import shared_transport
from shared.settings import settings
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.webhooks_out import secrets
from shared.webhooks_out.model import Delivery, DisabledReason, WebhookSubscription
from shared.webhooks_out.outbox import Message
from shared.webhooks_out.store import WebhookSubscriptionStore

WAITS_S: Final = (5, 60, 300, 1_800, 7_200, 18_000, 36_000)  # after each attempt that failed; after the last, no more
_JITTER: Final = 0.2  # of a wait, more or less
_PATIENCE_S: Final = 15.0  # for an answer
_LEASE_MS: Final = 45_000  # longer than an attempt takes, shorter than it takes a message to come again
_EARLY_MS: Final = 1_500  # SQS counts in seconds
_NOTE_EVERY_MS: Final = 600_000
_MAX_RETRY_AFTER_S: Final = 3_600
_GONE: Final = 410
_USER_AGENT: Final = "statewright-webhooks/1"


@dataclass(frozen=True, slots=True)
class Answer:
    """How an attempt ended: the receiver's status, or the name of an error."""

    status: int | None = None
    error: str | None = None
    retry_after: int = 0

    @property
    def accepted(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and 200 <= self.status < 300


async def deliver(message: Message) -> str:
    """Do what a message asks for; gives what was done, in a word. Raises Unavailable: the message is to come again."""
    claimed = await asyncio.to_thread(_claim, message)
    if isinstance(claimed, str):
        return claimed
    subscription, delivery = claimed
    keys = await asyncio.to_thread(secrets.signing, message.tenant, subscription, now_ms())
    answer = await send(subscription.url, delivery, keys)
    return await asyncio.to_thread(_conclude, message.tenant, subscription, delivery, answer)


async def send(url: str, delivery: Delivery, keys: list[str]) -> Answer:
    """Send it, signed with each of these secrets. Redirects are not followed, and the answer's body is not read."""
    at = datetime.now(UTC).replace(microsecond=0)
    headers = {
        "content-type": "application/json",
        "user-agent": _USER_AGENT,
        "webhook-id": delivery.id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(k).sign(delivery.id, at, delivery.body) for k in keys),
    }
    transport = await shared_transport(settings().private_hosts)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            request = httpx.Request("POST", url, headers=headers, content=delivery.body.encode())
            response = await transport.handle_async_request(request)
            await response.aclose()
    except TimeoutError:
        return Answer(error="Timeout")
    except AddressRefused:
        return Answer(error="BlockedAddress")
    except NameNotFound:
        return Answer(error="DnsError")
    except (httpx.TransportError, httpx.InvalidURL, OSError, UnicodeError):
        return Answer(error="ConnectionFailed")
    after = response.headers.get("retry-after", "")
    wait = min(int(after), _MAX_RETRY_AFTER_S) if after.isascii() and after.isdecimal() and len(after) < 7 else 0
    error = None if 200 <= response.status_code < 300 else "HttpError"
    return Answer(response.status_code, error, wait)


def _claim(message: Message) -> tuple[WebhookSubscription, Delivery] | str:
    """The delivery, to be attempted by this call alone; or why not."""
    store = _store(message.tenant)
    subscription = store.find(message.subscription_id)
    if subscription is None:
        return "no_subscription"
    try:
        delivery = store.delivery(message.subscription_id, message.delivery_id)
    except NotFound:
        return "no_delivery"
    if delivery.status != "pending":
        return "done"
    if message.attempt < delivery.attempts:
        return "superseded"
    if not subscription.active:
        over = {"status": "dead", "error": "Inactive", "next_attempt_at": None, "completed_at": now_ms()}
        store.record(delivery, over)
        return "inactive"
    early_ms = (delivery.next_attempt_at or 0) - now_ms()
    if early_ms > _EARLY_MS:
        message.send(min(MAX_DELAY_S, -(-early_ms // 1000)))
        return "later"
    if store.claim(delivery, now_ms() + _LEASE_MS):
        return subscription, delivery
    # Whoever has it has a message of their own, which comes again if they die. But this may be the message that they
    # sent for the attempt after theirs, while they have yet to record theirs: nobody else would ask for it.
    if message.attempt > delivery.attempts:
        message.send(-(-_LEASE_MS // 1000))
    return "taken"


def _conclude(tenant: Tenant, subscription: WebhookSubscription, delivery: Delivery, answer: Answer) -> str:
    store, now = _store(tenant), now_ms()
    came_of_it: dict[str, Any] = {
        "attempts": delivery.attempts + 1,
        "last_attempt_at": now,
        "response_status": answer.status,
        "error": answer.error,
    }
    over = {"next_attempt_at": None, "completed_at": now}
    if answer.accepted:
        if now - subscription.accepted_at > _NOTE_EVERY_MS:
            store.note_accepted(subscription.id, now)
        kept = store.record(delivery, {**came_of_it, **over, "status": "delivered"})
        return "delivered" if kept else "replayed"
    failed_now = delivery.attempts + 1 - delivery.round_attempts
    if answer.status == _GONE or failed_now > len(WAITS_S):
        if store.delivery(subscription.id, delivery.id).round_at != delivery.round_at:
            return "replayed"  # meanwhile: it has all attempts before it, and this was none of theirs
        # First: a delivery that is dead is not looked at again.
        if answer.status == _GONE:
            _disable(tenant, subscription, "gone")
        elif store.get(subscription.id).accepted_at < delivery.round_at - _NOTE_EVERY_MS:
            _disable(tenant, subscription, "failing")
        kept = store.record(delivery, {**came_of_it, **over, "status": "dead"})
        return "dead" if kept else "replayed"
    wait_s = max(answer.retry_after, WAITS_S[failed_now - 1])
    wait_s = round(wait_s * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - spreads load, guards nothing
    Message(tenant, subscription.id, delivery.id, delivery.attempts + 1).send(min(MAX_DELAY_S, wait_s))
    kept = store.record(delivery, {**came_of_it, "next_attempt_at": now + wait_s * 1000})
    return "failed" if kept else "replayed"


_WHY: Final[Mapping[DisabledReason, str]] = {
    "gone": "its receiver has answered 410 Gone",
    "failing": "its receiver has taken nothing for as long as deliveries are tried",
}


def _disable(tenant: Tenant, subscription: WebhookSubscription, reason: DisabledReason) -> None:
    """Make a subscription inactive, and tell the tenant's admins; doing it again changes nothing."""
    try:
        _store(tenant).change(subscription, {"active": False, "disabled_reason": reason})
    except (PreconditionFailed, NotFound):
        return  # somebody has changed it just now, and knows better
    logger("deliveries").warning("disabled", tenant_id=tenant.id, subscription_id=subscription.id, reason=reason)
    message = f"{subscription.description or subscription.id}: {_WHY[reason]}. It gets no more events."
    key = f"webhook subscription {subscription.id} {subscription.version}"
    tell_admins(tenant, "A webhook subscription was made inactive", message, key=key)


def _store(tenant: Tenant) -> WebhookSubscriptionStore:
    return WebhookSubscriptionStore(TenantTable(tenant))
