"""Webhooks out: addresses that the tenant's events are sent to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from functions.api.deps import IfMatch, Made, Once, Paged, etag_of, require
from functions.api.schemas.pages import PageOf
from functions.api.schemas.webhook_subscriptions import (
    DeliveryOut,
    NewSubscriptionSecret,
    RotateSubscriptionIn,
    WebhookSubscriptionIn,
    WebhookSubscriptionOut,
    WebhookSubscriptionPatch,
)
from shared.tenancy import Principal
from shared.webhooks_out import service
from shared.webhooks_out.model import DeliveryStatus, WebhookSubscription

router = APIRouter(prefix="/webhook-subscriptions", tags=["webhook-subscriptions"])
# Not viewers: of many chat systems the address is all that one needs to write there.
Reader = Annotated[Principal, require("editor", "webhook_subscriptions:read")]
Writer = Annotated[Principal, require("editor", "webhook_subscriptions:write")]
OfStatus = Annotated[DeliveryStatus | None, Query(alias="status")]


@router.get("")
def list_all(who: Reader, page: Paged) -> PageOf[WebhookSubscriptionOut]:
    """The tenant's webhook subscriptions."""
    return PageOf[WebhookSubscriptionOut].model_validate(service.listing(who, page.cursor, page.limit))


@router.post("", status_code=201, response_model=NewSubscriptionSecret)
def create(body: WebhookSubscriptionIn, who: Writer, once: Once) -> Response:
    """Subscribe to events. The answer shows the secret that deliveries are signed with, this once."""

    def make() -> Made:
        return _with_secret(201, *service.create(who, service.Wanted(**body.model_dump())))

    return once(who, body, make, secret=True)


@router.get("/{subscription_id}")
def get(subscription_id: str, who: Reader, response: Response) -> WebhookSubscriptionOut:
    """One subscription."""
    found = service.read(who, subscription_id)
    response.headers["ETag"] = etag_of(found.version)
    return WebhookSubscriptionOut.model_validate(found)


@router.patch("/{subscription_id}")
def change(
    subscription_id: str, body: WebhookSubscriptionPatch, who: Writer, known: IfMatch, response: Response
) -> WebhookSubscriptionOut:
    """Change a subscription. `workflow_ids: null` means all workflows; what is left out stays."""
    every = "workflow_ids" in body.model_fields_set
    changed = service.change(who, subscription_id, service.Wanted(**body.model_dump(), all_workflows=every), known)
    response.headers["ETag"] = etag_of(changed.version)
    return WebhookSubscriptionOut.model_validate(changed)


@router.delete("/{subscription_id}", status_code=204)
def remove(subscription_id: str, who: Writer, known: IfMatch) -> None:
    """Remove a subscription. What is on its way is dropped."""
    service.remove(who, subscription_id, known)


@router.post("/{subscription_id}/rotate", response_model=NewSubscriptionSecret)
def rotate(
    subscription_id: str, who: Writer, once: Once, known: IfMatch, body: RotateSubscriptionIn | None = None
) -> Response:
    """Replace the secret. The answer shows the new one, this once."""
    wanted = body or RotateSubscriptionIn()

    def make() -> Made:
        return _with_secret(200, *service.rotate(who, subscription_id, wanted.grace_seconds, known))

    return once(who, wanted, make, secret=True)


@router.post("/{subscription_id}/test", status_code=202, response_model=DeliveryOut)
def test(subscription_id: str, who: Writer, once: Once) -> Response:
    """Have a `webhook_test` event delivered."""
    return once(who, None, lambda: Made(202, DeliveryOut.model_validate(service.test(who, subscription_id))))


@router.get("/{subscription_id}/deliveries")
def deliveries(subscription_id: str, who: Reader, page: Paged, delivery_status: OfStatus = None) -> PageOf[DeliveryOut]:
    """What was, or is to be, delivered; newest event first. Kept for 30 days."""
    found = service.deliveries(who, subscription_id, page.cursor, page.limit, delivery_status)
    return PageOf[DeliveryOut].model_validate(found)


@router.get("/{subscription_id}/deliveries/{delivery_id}")
def delivery(subscription_id: str, delivery_id: str, who: Reader) -> DeliveryOut:
    """One delivery."""
    return DeliveryOut.model_validate(service.delivery(who, subscription_id, delivery_id))


@router.post("/{subscription_id}/deliveries/{delivery_id}/replay", status_code=202, response_model=DeliveryOut)
def replay(subscription_id: str, delivery_id: str, who: Writer, once: Once) -> Response:
    """Deliver it again, now, with the same `webhook-id`."""

    def make() -> Made:
        return Made(202, DeliveryOut.model_validate(service.replay(who, subscription_id, delivery_id)))

    return once(who, None, make)


def _with_secret(status: int, made: WebhookSubscription, secret: str) -> Made:
    shown = WebhookSubscriptionOut.model_validate(made).model_dump()
    headers = {"Location": f"/api/v1/webhook-subscriptions/{made.id}", "ETag": etag_of(made.version)}
    return Made(status, NewSubscriptionSecret(**shown, secret=secret), headers)
