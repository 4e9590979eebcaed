"""What the published workflows of a tenant listen for, in the table: our own index instead of a bus's rules.

An event of the platform's one bus is matched here, in code, against the tenant's subscriptions of its kind. The config
stands with each, so that only workflows that do match are read.
"""

from __future__ import annotations

import json
from contextlib import suppress

from shared.store.keys import Key
from shared.store.table import Attr, ConditionFailed, Item, TenantTable
from shared.subscriptions.model import ListenerType, Subscription


class SubscriptionStore:
    """One tenant's subscriptions."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._pk = table.keys.subscriptions()

    def put(self, wanted: Subscription) -> None:
        """Keep a subscription, unless a later version of its workflow has it differently."""
        item: Item = {
            "workflow_id": wanted.workflow_id,
            "node_id": wanted.node_id,
            "config": json.dumps(dict(wanted.config)),
            "version": wanted.version,
        }
        with suppress(ConditionFailed):
            not_later = Attr("PK").not_exists() | Attr("version").lte(wanted.version)
            self._table.put(self._key(wanted.kind, wanted.workflow_id, wanted.node_id), item, not_later)

    def remove(self, kind: ListenerType, workflow_id: str, node_id: str, version: int) -> None:
        """Remove the subscription of a node that `version` has no more, unless a later version has it again."""
        with suppress(ConditionFailed):
            self._table.delete(self._key(kind, workflow_id, node_id), Attr("version").lte(version))

    def of(self, kind: ListenerType, workflow_id: str | None = None) -> list[Subscription]:
        """The subscriptions of a kind: of one workflow, or of all."""
        prefix = f"{kind}#" + (f"{workflow_id}#" if workflow_id else "")
        items = self._table.query_all(self._pk, prefix=prefix, consistent=True)
        return [
            Subscription(kind, i["workflow_id"], i["node_id"], json.loads(i["config"]), int(i["version"]))
            for i in items
        ]

    def any(self, kind: ListenerType) -> bool:
        """Whether there is a subscription of this kind."""
        return bool(self._table.query(self._pk, prefix=f"{kind}#", limit=1, consistent=True).items)

    def _key(self, kind: ListenerType, workflow_id: str, node_id: str) -> Key:
        return Key(self._pk, f"{kind}#{workflow_id}#{node_id}")
