"""Starting a run: its record first, its execution second; what falls into the gap between is the sweeper's to find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from shared.aws import states
from shared.aws.s3 import TenantObjects
from shared.clock import now_ms
from shared.errors import Invalid, Problem, RateLimited, Unavailable
from shared.ids import new_id
from shared.runs.model import NodeRecord, Run
from shared.runs.store import RunStore
from shared.settings import settings
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.usage import service as usage
from stepfunctions import plans
from stepfunctions.engine.payloads import NotJson, Value, ValueTooLarge
from stepfunctions.prefill import create
from stepfunctions.published import Published, chosen

_UNATTENDED: Final = ("schedule", "event", "file", "error")  # nobody is told at once, and nothing comes again


def payload_objects(tenant: Tenant) -> TenantObjects:
    """Where a tenant's large values lie."""
    return TenantObjects(tenant, settings().data_bucket, "payloads")


def start(
    tenant: Tenant,
    published: Published,
    *,
    trigger_node: str | None,
    trigger_data: Any,
    triggered_by: Mapping[str, Any],
    execution_id: str | None = None,
    parent: Mapping[str, Any] | None = None,
    depth: int = 0,
    chain: int = 0,
    wait_seconds: float = 0,
    given: Sequence[NodeRecord] = (),
    budget: Mapping[str, int] | None = None,
) -> Run:
    """Start a run; with an `execution_id` that is there already, give that run and start nothing twice.

    Where its tier is Express, this waits until its execution is over, or until `wait_seconds` are. What is `given` is
    recorded before the run is there: nodes that are not run, with their outputs.

    `triggered_by` is `{kind, id, user}`; `parent`, `depth`, `chain` and `budget`: see `shared.runs.model.Run`. Raises
    Invalid for an unknown trigger node or data that is not JSON; RateLimited where a quota is used up — but what
    nobody asks for (a schedule, an event, a file) is written down as a run that has failed with `QuotaExceeded`.
    """
    runs = RunStore(TenantTable(tenant))
    made = runs.find(execution_id) if execution_id else None
    if made is not None and made.ended:
        return made
    execution_id = execution_id or new_id("ex")
    if not given:  # what is given was held against the plan of the published version
        published = published.of_run(execution_id)
    run = _new(tenant, published, execution_id, trigger_node, trigger_data, triggered_by)
    capped = published.max_concurrency is not None
    run = replace(run, parent=parent, depth=depth, chain=chain, capped=capped, budget=budget)
    if made is None:
        try:
            # A place first, the run second: of a place without a run the sweeper knows.
            most, child = published.max_concurrency, parent is not None
            usage.reserve(tenant, run.id, run.workflow_id, most=most, child=child)
        except RateLimited as full:
            if triggered_by["kind"] not in _UNATTENDED or triggered_by.get("user") is not None:
                raise
            return _refuse(runs, run, {"node_id": None, "error": "QuotaExceeded", "message": full.detail})
    if made is not None or not create(runs, run, given):
        run = made or runs.get(run.id)
        if run.ended:  # meanwhile: what was taken for it is nobody's
            usage.release(tenant, run.id, run.workflow_id if run.capped else None, unused=True)
            return run
    with suppress(Unavailable):  # the run is written down: the sweeper launches what could not be launched now
        if not _express(tenant, run, published, wait_seconds):
            launch(tenant, run, published.timeouts if run.plan == published.plan else _timeouts(tenant, run))
    return run


def _timeouts(tenant: Tenant, run: Run) -> tuple[int, ...]:
    """Those of a run that was written down when another version was in service."""
    return tuple(q.timeout_seconds for q in plans.load(tenant, run.plan).questions)


def refuse(
    tenant: Tenant,
    published: Published,
    *,
    trigger_node: str | None,
    trigger_data: Any,
    triggered_by: Mapping[str, Any],
    execution_id: str,
    chain: int,
    error: Mapping[str, Any],
) -> Run:
    """A run that is not started: it has failed with this error. Doing it again changes nothing."""
    run = _new(tenant, published, execution_id, trigger_node, trigger_data, triggered_by)
    return _refuse(RunStore(TenantTable(tenant)), replace(run, chain=chain), error)


def _refuse(runs: RunStore, run: Run, error: Mapping[str, Any]) -> Run:
    # Ended from the first: another delivery may have found a place for it meanwhile, and that run is not to be closed.
    refused = replace(run, status="failed", completed_at=run.created_at, error=error)
    return refused if runs.create(refused) else runs.get(run.id)


def _new(
    tenant: Tenant,
    published: Published,
    execution_id: str,
    trigger_node: str | None,
    trigger_data: Any,
    triggered_by: Mapping[str, Any],
) -> Run:
    now = now_ms()
    return Run(
        id=execution_id,
        workflow_id=published.workflow_id,
        version=published.version,
        plan=published.plan,
        machine=published.machine,
        status="pending",
        trigger_node=trigger_of(published, trigger_node),
        trigger=_stored(tenant, trigger_data),
        triggered_by=triggered_by,
        created_at=now,
        deadline=now + published.timeout_seconds * 1000,
        canary=published.canary,
    )


def _express(tenant: Tenant, run: Run, published: Published, wait_seconds: float) -> bool:
    """Begin a run's first attempt as an Express execution. False if it is to be a Standard one."""
    # Who waits for a child is told by the event of its execution's end, and an Express execution sends none.
    fits = (run.plan, run.attempt) == (published.plan, 0) and run.parent is None
    if published.express is None or not fits or settings().express == "off":
        return False
    if run.status == "pending":  # else its execution has begun; starting it again would not give that one
        with suppress(Unavailable):
            envelope = _envelope(tenant, run, published.timeouts)
            states.run_express(published.express, run.execution_name, envelope, wait_seconds)
            return True
    return run.status != "pending"


def launch(tenant: Tenant, run: Run, timeouts: tuple[int, ...]) -> None:
    """Start the state machine execution of a run's current attempt. Doing it twice does it once. Raises Unavailable."""
    states.start_execution(run.machine, run.execution_name, _envelope(tenant, run, timeouts))


def _envelope(tenant: Tenant, run: Run, timeouts: tuple[int, ...]) -> dict[str, Any]:
    return {
        "tenant": tenant.id,
        "execution": run.id,
        "attempt": run.attempt,
        "plan": run.plan,
        "timeouts": list(timeouts),
    }


def trigger_of(published: Published, wanted: str | None) -> str | None:
    """The node at which the run starts, as `chosen`."""
    return chosen(published.triggers, published.disabled, wanted)


def _stored(tenant: Tenant, data: Any) -> Mapping[str, Any]:
    try:
        return Value(data).store(payload_objects(tenant))
    except (NotJson, ValueTooLarge) as error:
        raise Invalid(str(error), errors=[Problem("bad_trigger_data", str(error), "trigger_data")]) from None
