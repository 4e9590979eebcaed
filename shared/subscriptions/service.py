"""Subscriptions follow a workflow's published version, as its webhooks and schedules do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.store.table import TenantTable
from shared.subscriptions.model import LISTENERS, Subscription
from shared.subscriptions.store import SubscriptionStore

if TYPE_CHECKING:
    from shared.workflows.model import Document


def follow(table: TenantTable, workflow_id: str, version: int, document: Document | None) -> list[dict[str, Any]]:
    """Make a workflow's subscriptions those of this version (None: none at all); gives them as JSON."""
    store, made = SubscriptionStore(table), []
    nodes = () if document is None else document.nodes
    for kind in LISTENERS:
        wanted = {n.id: n for n in nodes if n.type == kind and not n.disabled}
        for node in wanted.values():
            store.put(Subscription(kind, workflow_id, node.id, node.config, version))
            made.append({"type": kind, "id": None, "node_id": node.id})
        for held in store.of(kind, workflow_id):
            if held.node_id not in wanted:
                store.remove(kind, workflow_id, held.node_id, version)
    return made
