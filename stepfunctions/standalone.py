"""The functions of an exported project: one workflow in a stack of its own, without the API and without tenants.

`start` is what people and schedules call. Its event is one of

    {"trigger_data": …, "trigger_node"?: …, "wait_seconds"?: 25}     a run; the answer is its state
    {"run": "ex_…"}                                                   how that run stands
    {"tasks": "ex_…"}                                                 the questions that it waits with
    {"answer": {"task": "tk_…", "decision", "data"?, "comment"?}}     an answer to one
    {"credential": {"name", "kind", "values"}}                        a credential, encrypted from then on
    {"schedule": "<node>", "time": "<RFC 3339>"}                      an instant of a schedule is due

`project.json` beside the packages says what the stack runs: `{published, plan, resources}`; of a prompt, `resources`
may have several versions. The one tenant of such a stack has a fixed id; it keeps nothing apart, for there is nobody
else.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from shared.clock import iso, now_ms, parse
from shared.errors import AppError, BadRequest, Conflict, NotFound
from shared.ids import digest
from shared.resources.model import NAME, Resource
from shared.resources.store import ResourceStore
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Principal, Tenant, from_envelope
from stepfunctions import calls, plans
from stepfunctions.engine.boundary import answer
from stepfunctions.plan import Plan
from stepfunctions.published import Published
from stepfunctions.start import payload_objects
from stepfunctions.start import start as start_run

TENANT: Final = "t" + "0" * 26
PROJECT: Final = Path(__file__).resolve().parents[1] / "project.json"

runner = calls.runner("runner")


def tasks(event: dict[str, Any], context: Any) -> None:
    """Keep a task token until somebody answers."""
    owner: str = context.aws_request_id

    def remaining() -> float:
        return float(context.get_remaining_time_in_millis()) / 1000

    answer("tasks", event, owner, lambda: calls.token_call(event, owner=owner, remaining=remaining))


def run_events(event: dict[str, Any], context: Any) -> None:
    """An execution has ended, or a minute is over."""
    from stepfunctions.reconcile import ended, sweep

    if event.get("detail-type") == "Step Functions Execution Status Change":
        ended(event["detail"])
    else:
        sweep(lambda: float(context.get_remaining_time_in_millis()) / 1000)


def start(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Do what the event asks. What it asks wrongly is answered with `{error, message, errors}`."""
    del context
    try:
        return _done(_fields(event, "event"))
    except AppError as error:
        return {"error": error.code, "message": error.detail, "errors": [e.as_dict() for e in error.errors]}


def _done(event: dict[str, Any]) -> dict[str, Any]:
    who = _caller()
    if "run" in event:
        return _state(who.tenant, str(event["run"]))
    if "tasks" in event or "answer" in event:
        return _questions(who, event)
    if "credential" in event:
        return _credential(who, event["credential"])
    if "schedule" in event:
        due = _fields(event, "event", schedule=str, time=str)
        node, at = due["schedule"], iso(_instant(due["time"]))
        execution_id = "ex_" + digest(node, at)[:26].upper()
        return _run(
            who.tenant, node, {"timestamp": at}, 0, {"kind": "schedule", "id": node, "user": None}, execution_id
        )
    odd = sorted(set(event) - {"trigger_data", "trigger_node", "wait_seconds"})
    if odd:
        raise BadRequest(f"an event has no field {odd[0]}")
    wait = event.get("wait_seconds") or 0
    if not isinstance(wait, (int, float)):
        raise BadRequest("wait_seconds is a number")
    by = {"kind": "manual", "id": who.id, "user": None}
    return _run(who.tenant, event.get("trigger_node"), event.get("trigger_data"), min(wait, 600), by)


def _run(
    tenant: Tenant, node: str | None, data: Any, wait_seconds: float, by: Mapping[str, Any], run_id: str | None = None
) -> dict[str, Any]:
    from stepfunctions.manual import awaited

    published = _ready(tenant)
    run = start_run(tenant, published, trigger_node=node, trigger_data=data, triggered_by=by, execution_id=run_id)
    if wait_seconds:
        run = awaited(RunStore(TenantTable(tenant)), run, time.monotonic() + wait_seconds)
    return _state(tenant, run.id)


def _state(tenant: Tenant, execution_id: str) -> dict[str, Any]:
    from stepfunctions.engine.payloads import Value

    run = RunStore(TenantTable(tenant)).get(execution_id)
    final = run.final_output
    output = None if final is None else Value(encoded=final, objects=payload_objects(tenant)).get()
    return {"run": run.id, "status": run.status, "final_output": output, "error": run.error and dict(run.error)}


def _questions(who: Principal, event: Mapping[str, Any]) -> dict[str, Any]:
    from shared.tasks.service import TaskService

    service = TaskService(who.tenant)
    if "tasks" in event:
        found = service.open_tasks(str(event["tasks"]))
        return {"tasks": [{"task": t.id, "node": t.node_id, "title": t.title} for t in found]}
    given = _fields(event["answer"], "answer", task=str, decision=str)
    service.complete(who, given["task"], given["decision"], given.get("data"), given.get("comment") or "")
    return {"answered": given["task"]}


def _credential(who: Principal, told: Any) -> dict[str, Any]:
    from shared.credentials import service

    given = _fields(told, "credential", name=str, kind=str, values=dict)
    if not re.fullmatch(NAME, given["name"]):
        raise BadRequest("a credential's name is of small letters, digits and _")
    try:
        service.create(who, given["name"], given["kind"], given["values"], "")
    except Conflict:
        service.remove(who, given["name"], None)
        service.create(who, given["name"], given["kind"], given["values"], "")
    return {"credential": given["name"]}


def _fields(told: Any, what: str, **kinds: type) -> dict[str, Any]:
    """An object with at least these fields. Raises BadRequest."""
    if not isinstance(told, Mapping):
        raise BadRequest(f"the {what} is an object")
    for name, kind in kinds.items():
        if not isinstance(told.get(name), kind):
            raise BadRequest(f"the {what} has a field {name}, a {kind.__name__}")
    return dict(told)


def _instant(text: str) -> int:
    try:
        return parse(text)
    except ValueError:
        raise BadRequest("the time is none of RFC 3339") from None


def _caller() -> Principal:
    return Principal(from_envelope({"tenant": TENANT}), "api_key", "standalone", "owner")


@cache
def _ready(tenant: Tenant) -> Published:
    """What a run takes: the plan in the bucket and the tenant's named things in the table, put there if need be."""
    project = json.loads(PROJECT.read_bytes())
    plan = Plan.from_dict(project["plan"])
    plans.store(tenant, plan)
    store, now = ResourceStore(TenantTable(tenant)), now_ms()
    things: dict[tuple[str, str], list[Resource]] = {}
    for each in project["resources"]:  # the versions of a thing in their order: the last is what it is now
        at = (each["version"], now, now, "standalone")
        made = Resource(each["kind"], each["name"], each["shown"], *at, each["document"])
        things.setdefault((made.kind, made.name), []).append(made)
    for *earlier, made in things.values():
        if not _kept(store, made, earlier):
            store.restore(made, earlier)
    return Published.from_dict(project["published"])


def _kept(store: ResourceStore, made: Resource, earlier: Sequence[Resource]) -> bool:
    try:
        now = store.get(made.kind, made.name)
        same = (now.version, now.document) == (made.version, made.document)
        return same and all(store.version(now, each.version).document == each.document for each in earlier)
    except NotFound:
        return False
