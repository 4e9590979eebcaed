"""What a trigger does when its moment has come: find the version to run, see whether this was done, start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from shared.clock import iso, now_ms
from shared.errors import Conflict, NotFound, Unavailable
from shared.ids import digest, new_id
from shared.runs.model import NodeRecord, Run
from shared.store.table import Attr, ConditionFailed, TenantTable
from shared.tenancy import Principal, Tenant
from shared.triggers.store import TriggerStore
from shared.workflows.store import WorkflowStore
from stepfunctions.published import Published, in_service
from stepfunctions.start import start

_REMEMBERED_S: Final = 24 * 3600


def published(tenant: Tenant, workflow_id: str) -> Published | None:
    """What the workflow in service starts with: the published version, and its canary beside it. None if there is no
    such workflow, or it is not published.
    """
    try:
        workflow = WorkflowStore(TenantTable(tenant)).get(workflow_id)
    except NotFound:
        return None
    return in_service(workflow.published, workflow.canary)


def fire(
    tenant: Tenant,
    version: Published,
    node_id: str | None,
    data: Any,
    triggered_by: Mapping[str, Any],
    *,
    occasion: str | None = None,
    wait_seconds: float = 0,
    given: Sequence[NodeRecord] = (),
    chain: int = 0,
    budget: Mapping[str, int] | None = None,
) -> Run:
    """Start a run at a trigger node (None: the workflow has none).

    For each `occasion` (a digest of what tells it apart) one run, within 24 hours: whoever repeats it gets its run, and
    starts it if the first caller died before it could. The other arguments, and what this raises: see `start`.
    """
    return start(
        tenant,
        version,
        trigger_node=node_id,
        trigger_data=data,
        triggered_by=triggered_by,
        execution_id=None if occasion is None else id_for(tenant, occasion),
        wait_seconds=wait_seconds,
        given=given,
        chain=chain,
        budget=budget,
    )


def id_for(tenant: Tenant, occasion: str) -> str:
    """The execution id that belongs to an occasion (a digest of what tells it apart): the first caller's."""
    table, now_s = TenantTable(tenant), now_ms() // 1000
    made = new_id("ex")
    free = Attr("PK").not_exists() | Attr("ttl").lte(now_s)
    try:
        item = {"execution_id": made, "ttl": now_s + _REMEMBERED_S}
        table.put(table.keys.idempotency(occasion), item, free)
    except ConditionFailed as taken:
        if taken.item is None:
            raise
        first: str = taken.item["execution_id"]
        return first
    return made


def due(tenant: Tenant, schedule_id: str, instant_ms: int) -> Run | None:
    """A schedule's moment has come: its run, the same one for the same instant. None if it is to start nothing:
    it is paused or gone, or its node is not in the published version."""
    try:
        schedule = TriggerStore(TenantTable(tenant)).schedule(schedule_id)
    except NotFound:
        return None
    version = published(tenant, schedule.workflow_id)
    if schedule.state != "active" or schedule.disabled or version is None:
        return None
    if (schedule.node_id, "schedule") not in version.triggers:
        return None
    instant = iso(instant_ms)
    by = {"kind": "schedule", "id": schedule_id, "user": None}
    occasion = digest("schedule", schedule_id, instant)
    run = fire(tenant, version, schedule.node_id, {"timestamp": instant}, by, occasion=occasion)
    # After the run, and whoever repeats the call repeats this too: what is noted has begun, and nothing is missed.
    TriggerStore(TenantTable(tenant)).note_fired(schedule_id, instant_ms, run.id)
    return run


def run_now(who: Principal, schedule_id: str) -> Run:
    """Start a schedule's run at once, whether or not it is paused. Raises NotFound; Conflict if it is not published."""
    store = TriggerStore(TenantTable(who.tenant))
    schedule, instant_ms = store.schedule(schedule_id), now_ms()
    version = published(who.tenant, schedule.workflow_id)
    if version is None or (schedule.node_id, "schedule") not in version.triggers:
        raise Conflict("the workflow is not published with this schedule", code="not_published")
    by = {"kind": "schedule", "id": schedule_id, "user": who.person}
    run = fire(who.tenant, version, schedule.node_id, {"timestamp": iso(instant_ms)}, by)
    with suppress(Unavailable):  # the run has begun: whoever was told otherwise would start another
        store.note_fired(schedule_id, instant_ms, run.id)
    return run
