"""Events: kept beside their run for a month, and pushed to whoever watches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.events.model import Event
from shared.live.service import push
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Tenant

_KEEP_SECONDS: Final = 30 * 86_400


def publish(tenant: Tenant, execution_id: str, events: Sequence[Event]) -> None:
    """Keep and push events of one run, in order. Doing it again changes nothing for who counts by `sequence`.

    Each is kept before the next, so that whoever reads the events up to one has read all before it.
    """
    runs = RunStore(TenantTable(tenant))
    for event in events:
        item = event.as_dict()
        del item["sequence"]
        runs.put_event(execution_id, event.sequence, {**item, "ttl": event.at // 1000 + _KEEP_SECONDS})
    push(tenant, [f"execution:{execution_id}", "tenant"], [e.as_dict() for e in events])
