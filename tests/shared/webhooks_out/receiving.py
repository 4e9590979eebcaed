"""A receiver of webhooks, and the queue as Lambda empties it."""

from __future__ import annotations

import json
from typing import Any

import boto3
from standardwebhooks import Webhook

from functions.deliveries.handler import handler
from infrastructure.local import cloud
from infrastructure.local.interpreter import Context
from shared.settings import settings
from shared.store.table import TenantTable
from shared.tenancy import Principal, Tenant
from shared.webhooks_out.model import Delivery
from shared.webhooks_out.outbox import Message
from shared.webhooks_out.store import WebhookSubscriptionStore
from tests.echo_server import EchoServer


def editor(tenant: Tenant) -> Principal:
    return Principal(tenant, "api_key", "key_a", "editor")


def verified(server: EchoServer, secret: str) -> list[dict[str, Any]]:
    """The bodies that came, each verified with the reference library."""
    return [Webhook(secret).verify(body, headers) for _, _, headers, body in list(server.seen)]


def messages() -> list[dict[str, Any]]:
    """What is in the queue and due, taken out of it."""
    sqs, queue, found = boto3.client("sqs", region_name=cloud.REGION), settings().deliveries_queue, []
    while taken := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
        for message in taken:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        found += [{"messageId": m["MessageId"], "body": m["Body"]} for m in taken]
    return found


def delayed() -> int:
    """How many messages are in the queue for later."""
    name = "ApproximateNumberOfMessagesDelayed"
    told = boto3.client("sqs", region_name=cloud.REGION).get_queue_attributes(
        QueueUrl=settings().deliveries_queue, AttributeNames=[name]
    )
    return int(told["Attributes"][name])


def handled(*records: dict[str, Any]) -> list[str]:
    """Hand messages to the function; the ids of those that are to come again."""
    answer = handler({"Records": list(records)}, Context())
    return [f["itemIdentifier"] for f in answer["batchItemFailures"]]


def empty_queue() -> None:
    while found := messages():
        assert handled(*found) == []


def record(message: Message) -> dict[str, Any]:
    told = {
        "tenant": message.tenant.id,
        "subscription": message.subscription_id,
        "delivery": message.delivery_id,
        "attempt": message.attempt,
    }
    return {"messageId": f"m-{message.delivery_id}-{message.attempt}", "body": json.dumps(told)}


def deliveries(tenant: Tenant, subscription_id: str) -> list[Delivery]:
    return WebhookSubscriptionStore(TenantTable(tenant)).deliveries(subscription_id, None, 200, None).items


def due_now(tenant: Tenant, delivery: Delivery) -> dict[str, Any]:
    """The message for a delivery's next attempt, whose time has come."""
    store = WebhookSubscriptionStore(TenantTable(tenant))
    assert store.record(delivery, {"next_attempt_at": 1})
    return record(Message(tenant, delivery.subscription_id, delivery.id, delivery.attempts))
