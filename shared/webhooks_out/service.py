"""What the API does with webhook subscriptions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from shared.clock import now_ms
from shared.errors import Conflict, Invalid, PreconditionFailed, Problem, TooLarge
from shared.ids import new_id, ulid
from shared.store.pages import Listing
from shared.store.table import TenantTable
from shared.tenancy import Principal, Tenant
from shared.webhooks_out import outbox, secrets
from shared.webhooks_out.model import (
    EVENTS,
    EVERYTHING,
    MAX_SUBSCRIPTIONS,
    TEST_EVENT,
    Delivery,
    DeliveryStatus,
    WebhookSubscription,
    delivery_id,
)
from shared.webhooks_out.store import WebhookSubscriptionStore

MAX_GRACE_S: Final = 7 * 86_400
_UNFIT: Final = re.compile(r"[\x00-\x20\x7f-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What people say of a subscription; None in a change: as it is."""

    url: str | None = None
    events: Sequence[str] | None = None
    workflow_ids: Sequence[str] | None = None
    all_workflows: bool = False
    description: str | None = None
    active: bool | None = None


def create(who: Principal, wanted: Wanted) -> tuple[WebhookSubscription, str]:
    """A new subscription, and its secret. Raises Invalid, TooLarge (there are as many as may be)."""
    _check(wanted)
    store, now, secret = _store(who.tenant), now_ms(), secrets.new_secret()
    if len(store.all()) >= MAX_SUBSCRIPTIONS:
        raise TooLarge(f"a tenant has at most {MAX_SUBSCRIPTIONS} webhook subscriptions", code="too_many")
    made_id = new_id("whs")
    made = WebhookSubscription(
        id=made_id,
        url=wanted.url or "",
        events=_unique(wanted.events or (EVERYTHING,)),
        workflow_ids=None if wanted.workflow_ids is None else _unique(wanted.workflow_ids),
        description=wanted.description or "",
        active=wanted.active is not False,
        secret=secrets.seal(who.tenant, made_id, secret),
        created_at=now,
        created_by=who.id,
        updated_at=now,
    )
    store.create(made)
    return made, secret


def listing(who: Principal, cursor: str | None, limit: int) -> Listing[WebhookSubscription]:
    """Some subscriptions."""
    return _store(who.tenant).page(cursor, limit)


def read(who: Principal, subscription_id: str) -> WebhookSubscription:
    """One subscription. Raises NotFound."""
    return _store(who.tenant).get(subscription_id)


def change(who: Principal, subscription_id: str, wanted: Wanted, known: int | None) -> WebhookSubscription:
    """Change a subscription; made active, it begins anew. Raises NotFound, Invalid, PreconditionFailed."""
    _check(wanted)
    store = _store(who.tenant)
    found = _known(store, subscription_id, known)
    new: dict[str, Any] = {}
    for name in ("url", "description", "active"):
        if getattr(wanted, name) is not None:
            new[name] = getattr(wanted, name)
    if wanted.events is not None:
        new["events"] = _unique(wanted.events)
    if wanted.workflow_ids is not None or wanted.all_workflows:
        new["workflow_ids"] = None if wanted.workflow_ids is None else _unique(wanted.workflow_ids)
    if wanted.active:
        new["disabled_reason"] = None
    return store.change(found, new) if new else found


def remove(who: Principal, subscription_id: str, known: int | None) -> None:
    """Remove a subscription. Raises NotFound, PreconditionFailed."""
    store = _store(who.tenant)
    _known(store, subscription_id, known)
    store.remove(subscription_id)


def rotate(
    who: Principal, subscription_id: str, grace_seconds: int, known: int | None
) -> tuple[WebhookSubscription, str]:
    """A new secret; for `grace_seconds` the old one signs as well. Raises NotFound, PreconditionFailed."""
    store, secret = _store(who.tenant), secrets.new_secret()
    found = _known(store, subscription_id, known)
    new: dict[str, Any] = {"secret": secrets.seal(who.tenant, found.id, secret), "previous": None, "previous_until": 0}
    if grace_seconds:
        new |= {"previous": found.secret, "previous_until": now_ms() + grace_seconds * 1000}
    return store.change(found, new), secret


def test(who: Principal, subscription_id: str) -> Delivery:
    """Have a test event delivered. Raises NotFound; Conflict where it is inactive; Unavailable."""
    store = _store(who.tenant)
    found = _active(store, subscription_id)
    now = now_ms()
    data = {"subscription_id": found.id, "message": "This is a test."}
    return outbox.post(
        who.tenant, store, outbox.made(delivery_id(now, found.id, ulid()), found.id, TEST_EVENT, data, now)
    )


def deliveries(
    who: Principal, subscription_id: str, cursor: str | None, limit: int, status: DeliveryStatus | None
) -> Listing[Delivery]:
    """What was, or is to be, delivered; newest event first. Raises NotFound."""
    store = _store(who.tenant)
    return store.deliveries(store.get(subscription_id).id, cursor, limit, status)


def delivery(who: Principal, subscription_id: str, delivery_id: str) -> Delivery:
    """One of them. Raises NotFound."""
    store = _store(who.tenant)
    return store.delivery(store.get(subscription_id).id, delivery_id)


def replay(who: Principal, subscription_id: str, delivery_id: str) -> Delivery:
    """Deliver it again, now, with all attempts; also one that was delivered, or that waits for its next attempt.

    Raises NotFound; Conflict where the subscription is inactive, or an attempt has ended just now; Unavailable.
    """
    store = _store(who.tenant)
    found = store.delivery(_active(store, subscription_id).id, delivery_id)
    again = outbox.begin_again(who.tenant, store, found)
    if again is None:
        raise Conflict("an attempt of it has ended just now; look at it again", code="delivery_changed")
    return again


def _active(store: WebhookSubscriptionStore, subscription_id: str) -> WebhookSubscription:
    found = store.get(subscription_id)
    if not found.active:
        raise Conflict("the webhook subscription is inactive", code="inactive")
    return found


def _known(store: WebhookSubscriptionStore, subscription_id: str, known: int | None) -> WebhookSubscription:
    found = store.get(subscription_id)
    if known is not None and known != found.version:
        raise PreconditionFailed(f"it is at version {found.version} by now; read it again")
    return found


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _check(wanted: Wanted) -> None:
    problems = []
    if wanted.url is not None and not _is_address(wanted.url):
        message = "must be an address such as https://example.com/hook, without a user name and a fragment"
        problems.append(Problem("bad_url", message, "url"))
    if wanted.events is not None and tuple(wanted.events) != (EVERYTHING,):
        unknown = [e for e in wanted.events if e not in EVENTS]
        message = f"there is no event {unknown[0][:100]!r}" if unknown else ""
        if unknown:
            known = ", ".join(sorted(EVENTS))
            problems.append(Problem("unknown_event", f"{message}; there are {known}, and * alone for all", "events"))
    if problems:
        raise Invalid(problems[0].message, errors=problems)


def _is_address(url: str) -> bool:
    """Whether it can be called. Where it leads is looked at before each attempt."""
    if _UNFIT.search(url):
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for one that is none
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and "#" not in url


def _store(tenant: Tenant) -> WebhookSubscriptionStore:
    return WebhookSubscriptionStore(TenantTable(tenant))
