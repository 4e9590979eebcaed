"""From the table's stream to events of guided conversations: that one began, and how it ended.

The live channels get none: every viewer of a tenant may watch those, and conversations are held by permissions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from shared.aws.dynamo import Item
from shared.aws.streams import Change
from shared.events.model import GuidedEvent, GuidedType
from shared.tenancy import Tenant
from shared.webhooks_out.outbox import tell as webhooks_out
from stepfunctions.announce import announce_guided


def listeners(
    tenant: Tenant, instance_id: str, events: Sequence[GuidedEvent]
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Who is told of one conversation's events, in this order. To be told again changes nothing for any of them."""
    yield "bus", lambda: announce_guided(tenant, events)
    yield "webhooks", lambda: webhooks_out(tenant, instance_id, events)


def events_of(instance_id: str, change: Change) -> list[GuidedEvent]:
    """The events that one change of a conversation's record tells of, in order. One may begin and end in one change."""
    if change.new is None:
        return []
    return [
        # Numbered as the events of runs are (`stepfunctions.feed`).
        GuidedEvent(f"{int(change.sequence):040d}-{index:05d}", kind, instance_id, at or change.at, facts)
        for index, (kind, at, facts) in enumerate(_told(change.old, change.new))
    ]


def _told(old: Item | None, new: Item) -> Iterator[tuple[GuidedType, int | None, dict[str, Any]]]:
    before, status = (old or {}).get("status"), new["status"]
    if status == before:
        return
    about = {"template": new["template"], "template_version": new["template_version"]}
    if before is None or status == "active":  # it has begun; or its end action, which had failed, is tried again
        yield "guided_started", new["created_at"] if before is None else None, {**about, "status": "active"}
    if status == "active":
        return
    body = json.loads(new["body"])
    kinds: dict[str, GuidedType] = {
        "completed": "guided_completed",
        "cancelled": "guided_expired" if body.get("reason") == "expired" else "guided_cancelled",
        "failed": "guided_failed",
    }
    action = body.get("action") or {}
    yield kinds[status], body.get("ended_at"), {**about, "status": status, "execution_id": action.get("execution_id")}
