"""Runs that somebody starts by hand: from the builder, or over the API."""

from __future__ import annotations

import json
import time
from typing import Any, Final

from shared.errors import Invalid, Problem, TooLarge
from shared.runs.model import Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Principal, Tenant
from stepfunctions import plans
from stepfunctions.fire import fire
from stepfunctions.published import Published
from stepfunctions.release import WhichVersion, runnable
from stepfunctions.start import trigger_of

MAX_TRIGGER_BYTES: Final = 1_048_576
_FIRST_LOOK_S: Final = 0.05
_LAST_LOOK_S: Final = 0.5


def execute(
    who: Principal,
    workflow_id: str,
    *,
    trigger_data: Any,
    trigger_node: str | None,
    version: WhichVersion,
    wait_seconds: float,
    mark: str | None,
) -> Run:
    """Start a run, and give it when it has ended or `wait_seconds` are over. One `mark` (a digest of the
    request) leads to one run.

    Raises NotFound; TooLarge; Invalid (a draft with problems, an unknown trigger, data that its schema refuses).
    """
    _check_size(trigger_data)
    published = runnable(who.tenant, workflow_id, version)
    trigger = trigger_of(published, trigger_node)
    _check(who.tenant, published, trigger, trigger_data)
    by = {"kind": "manual", "id": who.id, "user": who.user_id}
    run = fire(who.tenant, published, trigger, trigger_data, by, occasion=mark)
    return _awaited(RunStore(TenantTable(who.tenant)), run, wait_seconds)


def _check_size(data: Any) -> None:
    size = len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_TRIGGER_BYTES:
        raise TooLarge(f"trigger_data has {size:,} bytes; the limit is {MAX_TRIGGER_BYTES:,}", code="trigger_too_large")


def _check(tenant: Tenant, published: Published, trigger: str | None, data: Any) -> None:
    """Hold the data against the `input_schema` of a manual trigger. Raises Invalid."""
    if trigger is None or dict(published.triggers)[trigger] != "manual_trigger":
        return
    schema = plans.load(tenant, published.plan).nodes[trigger].config.get("input_schema")
    if schema is None:
        return
    # jsonschema takes long to import, and most triggers have no schema.
    from shared.nodes.json_schemas import faults

    found = faults(data, schema)
    if found:
        problems = [_problem(fault, trigger) for fault in found]
        raise Invalid("trigger_data does not fit: " + "; ".join(p.message for p in problems), errors=problems)


def _problem(fault: str, trigger: str) -> Problem:
    """`$.order.id: must be of type "string"` as a problem at `trigger_data.order.id`."""
    place, _, rule = fault.partition(": ")
    path = "trigger_data" + place.removeprefix("$")
    return Problem("bad_trigger_data", f"{path}: {rule}", path[:200], trigger)


def _awaited(runs: RunStore, run: Run, seconds: float) -> Run:
    end, pause = time.monotonic() + seconds, _FIRST_LOOK_S
    while not run.ended and time.monotonic() < end:
        time.sleep(min(pause, max(0, end - time.monotonic())))
        pause = min(pause * 1.5, _LAST_LOOK_S)
        run = runs.get(run.id)
    return run
