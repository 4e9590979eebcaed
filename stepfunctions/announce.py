"""Events for workflows that listen: what a tenant sends over the API, and what its runs, tasks and guided
conversations tell.

Both go over the stack's bus as `{tenant, chain, event}`. `event` is a stored value, so that a large one goes by
reference: `{id, source, detail-type, time, detail}`, as EventBridge shapes events. For `chain` see
`stepfunctions.arrivals`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.aws import bus
from shared.clock import iso, now_ms
from shared.errors import Invalid, NotFound, Problem
from shared.events.model import Event, GuidedEvent
from shared.ids import new_id
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.subscriptions.store import SubscriptionStore
from shared.tenancy import Tenant
from stepfunctions.engine.payloads import NotJson, Value
from stepfunctions.start import payload_objects

OUR_SOURCE: Final = "statewright"
FAILURE: Final = "failure"  # of a run, as it goes over the bus for `stepfunctions.error_workflows`
_KIND: Final = "event"


def send(tenant: Tenant, kind: str, source: str, data: Mapping[str, Any], event_id: str | None) -> dict[str, Any]:
    """Put an event of a tenant's own on the bus; gives the event. Raises Invalid, Unavailable."""
    event = {
        "id": event_id or new_id("ev"),
        "source": source,
        "detail-type": kind,
        "time": iso(now_ms()),
        "detail": dict(data),
    }
    try:
        _put(tenant, 0, [event])
    except NotJson as error:
        raise Invalid("the event's data is not valid Unicode text", errors=[_not_text(error)]) from None
    return event


def _not_text(error: NotJson) -> Problem:
    return Problem("bad_data", str(error), "data")


def announce(tenant: Tenant, execution_id: str, events: Sequence[Event]) -> None:
    """Put what became of a run and of its tasks on the bus, if the tenant has a workflow that listens for events.

    Doing it again changes nothing: an event has its id from its place in the table's stream. Raises Unavailable.
    """
    told = [e for e in events if e.type.startswith(("execution_", "task_"))]
    if not told or not _listens(tenant):
        return
    try:
        run = RunStore(TenantTable(tenant)).get(execution_id)
    except NotFound:
        return
    _put(tenant, run.chain + 1, [_shaped(e) for e in told])


def announce_guided(tenant: Tenant, events: Sequence[GuidedEvent]) -> None:
    """Likewise, what became of a guided conversation. It was begun over the API, so a chain begins with it."""
    if events and _listens(tenant):
        _put(tenant, 1, [_shaped(e) for e in events])


def _listens(tenant: Tenant) -> bool:
    return SubscriptionStore(TenantTable(tenant)).any("event_listener")


def tell_failures(tenant: Tenant, events: Sequence[Event]) -> None:
    """Put failures among a run's events on the bus: there may be a workflow that starts then. Doing it again changes
    nothing. Raises Unavailable.
    """
    failed = [e for e in events if e.type == "execution_failed"]
    told = [{"tenant": tenant.id, "execution_id": e.execution_id, "attempt": e.facts["attempt"]} for e in failed]
    bus.put(FAILURE, told)


def _shaped(event: Event | GuidedEvent) -> dict[str, Any]:
    facts = event.as_dict()
    sequence, kind, at = facts.pop("sequence"), facts.pop("type"), facts.pop("at")
    return {
        "id": f"{event.subject}-{sequence}",
        "source": OUR_SOURCE,
        "detail-type": kind,
        "time": at,
        "detail": facts,
    }


def _put(tenant: Tenant, chain: int, events: Sequence[Mapping[str, Any]]) -> None:
    objects = payload_objects(tenant)
    bus.put(_KIND, [{"tenant": tenant.id, "chain": chain, "event": dict(Value(e).store(objects))} for e in events])
