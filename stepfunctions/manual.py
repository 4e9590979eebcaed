"""Runs that somebody starts by hand: from the builder, or over the API."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from shared.errors import Invalid, Problem, TooLarge
from shared.runs.model import NodeRecord, Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Principal, Tenant
from shared.workflows.service import document_of
from stepfunctions import plans
from stepfunctions.fire import fire
from stepfunctions.newer import SINGLE_NODE
from stepfunctions.prefill import Outputs, given
from stepfunctions.published import Published
from stepfunctions.release import WhichVersion, document_at, runnable
from stepfunctions.start import payload_objects, trigger_of

NOTHING: Final[Outputs] = {}
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
    pinned: Outputs = NOTHING,
    budget: Mapping[str, int] | None = None,
    kind: str = "manual",
) -> Run:
    """Start a run, and give it when it has ended or `wait_seconds` are over. One `mark` (a digest of the
    request) leads to one run. The nodes of `pinned` are not run; they deliver what is given there. `budget` (see
    `shared.runs.model.Run`) can only be less than the workflow's.

    Raises NotFound; TooLarge; RateLimited; Invalid (a draft with problems, an unknown trigger or pinned node or port,
    data that its schema refuses).
    """
    until = time.monotonic() + wait_seconds
    _check_size(trigger_data)
    published = runnable(who.tenant, workflow_id, version)
    trigger = trigger_of(published, trigger_node)
    _check(who.tenant, published, trigger, trigger_data)
    by = {"kind": kind, "id": who.id, "user": who.person}
    return _fired(who, published, trigger, trigger_data, by, pinned, "pinned", mark, until, budget)


def execute_node(
    who: Principal,
    workflow_id: str,
    node_id: str,
    *,
    inputs: Mapping[str, Any],
    trigger_data: Any,
    outputs_of: Outputs,
    version: WhichVersion,
    wait_seconds: float,
    mark: str | None,
) -> Run:
    """Run one node by itself (a container with its body) as a run of its own, see `stepfunctions.alone`; otherwise
    like `execute`. The run's final output is an object of the node's outputs by port.

    Raises NotFound; TooLarge; Invalid (a port that is not there, a node that has problems or that waits).
    """
    from stepfunctions.alone import alone  # the compiler takes a while to import

    until = time.monotonic() + wait_seconds
    _check_size(trigger_data)
    _, number, raw = document_at(who.tenant, workflow_id, version)
    lone = alone(document_of(raw), node_id, inputs, outputs_of)
    published = lone.publish(who.tenant, number)
    trigger = trigger_of(published, None)
    _check(who.tenant, published, trigger, trigger_data)
    by = {"kind": SINGLE_NODE, "id": node_id, "user": who.person}
    return _fired(who, published, trigger, trigger_data, by, lone.outputs, "inputs", mark, until)


def _fired(
    who: Principal,
    published: Published,
    trigger: str | None,
    data: Any,
    by: Mapping[str, Any],
    outputs: Outputs,
    field: str,
    mark: str | None,
    until: float,
    budget: Mapping[str, int] | None = None,
) -> Run:
    """Start a run in which some nodes have their outputs given, and wait for its end."""
    records: list[NodeRecord] = []
    if outputs:
        plan, objects = plans.load(who.tenant, published.plan), payload_objects(who.tenant)
        records = given(plan, outputs, objects, field=field, origin="pinned")
    left = max(0.0, until - time.monotonic())
    run = fire(who.tenant, published, trigger, data, by, occasion=mark, wait_seconds=left, given=records, budget=budget)
    return awaited(RunStore(TenantTable(who.tenant)), run, until if left else None)


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


def awaited(runs: RunStore, run: Run, until: float | None) -> Run:
    """The run when it has ended, or as it is when the time is over; None: nobody waits. The first look is at once: an
    Express execution is over by now.
    """
    pause = _FIRST_LOOK_S
    while until is not None and not (run := runs.get(run.id)).ended and (left := until - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LAST_LOOK_S)
    return run
