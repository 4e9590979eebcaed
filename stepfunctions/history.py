"""Reading a run back: what its nodes did, with their values, from the journal and the plan.

A node's inputs are not stored where a connection delivered them; they are the outputs of the nodes before it, or what
its container hands to the pass. The `state` that `config.result` or several last nodes have made is not kept: left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import and_
from typing import Any, Final, TypeAlias

from shared.clock import iso
from shared.errors import BadRequest, Conflict, NotFound
from shared.ids import digest
from shared.nodes.base import AFTER
from shared.nodes.registry import get
from shared.runs.model import NodeRecord, NodeStatus, Origin, Run, Stored
from shared.runs.store import RunStore
from shared.store import pages
from shared.store.keys import journal_prefix
from shared.store.table import Attr, TenantTable
from shared.tenancy import Tenant
from shared.workflows.store import WorkflowStore
from stepfunctions import plans
from stepfunctions.engine.journal import records_of
from stepfunctions.engine.payloads import Value
from stepfunctions.plan import BoundNode, Edge, Plan
from stepfunctions.shown import WHOLE_BYTES, Shown
from stepfunctions.start import payload_objects

Json = dict[str, Any]
Ports: TypeAlias = Mapping[str, Stored | list[Stored]]
_SETTLED: Final = ("completed", "failed", "skipped")
_OPEN: Final = ("pending", "running", "paused")
_WEIGHTIEST: Final[tuple[NodeStatus, ...]] = ("cancelled", "failed", "completed")
_EVERYTHING: Final = journal_prefix("")[:2]


def run_view(tenant: Tenant, run: Run, shown: Shown | None = None) -> Json:
    """A run by itself, as the API shows it."""
    shown = shown or Shown(payload_objects(tenant))
    return {
        **_summary(run),
        "pause_requested": run.control == "pause",
        "attempt": run.attempt,
        "trigger_data": shown.value(run.trigger),
        "final_output": None if run.final_output is None else shown.value(run.final_output),
    }


def _summary(run: Run) -> Json:
    return {
        "id": run.id,
        "workflow_id": run.workflow_id,
        "version": run.version,
        "status": run.status,
        "pause_reason": run.pause_reason,
        "triggered_by": dict(run.triggered_by),
        "parent": _parent(run),
        "trigger_node": run.trigger_node,
        "created_at": iso(run.created_at),
        **_times(run.started_at, run.completed_at),
        "error": run.error,
    }


def listing(
    tenant: Tenant,
    workflow_id: str,
    cursor: str | None,
    limit: int,
    status: str | None,
    since: int | None,
    before: int | None,
) -> pages.Listing[Json]:
    """A workflow's runs, newest first, created in [since, before) (ms since the epoch). Raises NotFound."""
    table = TenantTable(tenant)
    WorkflowStore(table).get(workflow_id)
    runs = RunStore(table)
    wanted = [Attr("created_at").gte(since or 0)]
    if before is not None:
        wanted.append(Attr("created_at").lt(before))
    if status is not None:
        wanted.append(Attr("status").eq(status))
    condition = reduce(and_, wanted) if status or since or before is not None else None
    return pages.listing_of(
        tenant,
        digest("executions", workflow_id, str(status), str(since), str(before)),
        cursor,
        limit,
        lambda start, n: runs.page(workflow_id, start=start, limit=n, since=since, before=before, condition=condition),
        lambda item: _summary(runs.shape(item)),
    )


def forget(tenant: Tenant, execution_id: str) -> None:
    """Remove an ended run with its history. Raises NotFound, Conflict."""
    runs = RunStore(TenantTable(tenant))
    run = runs.get(execution_id)
    if not run.ended:
        raise Conflict(f"execution {execution_id} is {run.status}; cancel it first", code="run_not_ended")
    runs.delete(execution_id)


def execution_view(tenant: Tenant, execution_id: str, whole_bytes: int = WHOLE_BYTES) -> Json:
    """A run with what each of its nodes did; nodes in loops are summed up. Raises NotFound."""
    history = _History(tenant, execution_id)
    shown = Shown(payload_objects(tenant), whole_bytes)
    view = run_view(tenant, history.run, shown)
    inputs = {n.id: history.inputs(n, "") for n in history.plan.nodes.values() if not n.scope}
    shown.load(_each([*inputs.values(), *(r.outputs for r in history.records.values() if not r.scope)]))
    view["usage"] = _summed(r.usage for r in history.records.values())
    view["node_executions"] = {
        n.id: history.summary(n) if n.scope else history.shape(n, "", inputs[n.id], shown)
        for n in history.plan.nodes.values()
    }
    return view


def progress_view(tenant: Tenant, execution_id: str) -> Json:
    """How far a run is: `{done, of, running}`, two counts and ids of nodes; containers are one. Raises NotFound."""
    history = _History(tenant, execution_id, journal_prefix(""))
    statuses = {n.id: history.status(n, "") for n in history.plan.nodes.values() if not n.scope}
    return {
        "done": sum(status in _SETTLED for status in statuses.values()),
        "of": len(statuses),
        "running": [node for node, status in statuses.items() if status == "running"],
    }


def node_view(
    tenant: Tenant, execution_id: str, node_id: str, cursor: str | None, limit: int, whole_bytes: int
) -> Json:
    """Every run of one node — more than one for a node in a loop — with its values. Raises NotFound, BadRequest."""
    history = _History(tenant, execution_id)
    node = history.plan.nodes.get(node_id)
    if node is None:
        raise NotFound(f"execution {execution_id} has no node {node_id}")
    scopes = sorted((s for n, s in history.records if n == node_id), key=_place) if node.scope else [""]
    listing = f"node {execution_id} {node_id}"
    first = offset_of(pages.decode(tenant, listing, cursor))
    chosen = scopes[first : first + limit]
    inputs = [history.inputs(node, scope) for scope in chosen]
    shown = Shown(payload_objects(tenant), whole_bytes, links=True)
    shown.load(_each([*inputs, *(r.outputs for s in chosen if (r := history.records.get((node_id, s))))]))
    more = first + limit < len(scopes)
    last = {"PK": TenantTable(tenant).keys.run(execution_id).pk, "SK": str(first + limit)} if more else None
    return {
        "node_id": node_id,
        "type": node.type,
        "status": history.summary(node)["status"] if node.scope else history.status(node, ""),
        "items": [
            {"iteration": _place(scope), **history.shape(node, scope, given, shown)}
            for scope, given in zip(chosen, inputs, strict=True)
        ],
        "next_cursor": pages.encode(tenant, listing, last),
    }


def events(tenant: Tenant, execution_id: str, after: str, limit: int) -> Json:
    """What happened after the event `after`, in order: `{items, next_cursor, after}`. Raises NotFound.

    `after` in the answer is where to go on asking; `next_cursor` is the same if there is more already.
    """
    runs = RunStore(TenantTable(tenant))
    runs.get(execution_id, consistent=False)
    page = runs.events(execution_id, after, limit)
    hidden = ("PK", "SK", "ttl")
    items = [{"sequence": i["SK"][2:], **{k: v for k, v in i.items() if k not in hidden}} for i in page.items]
    last = items[-1]["sequence"] if items else after
    return {"items": items, "next_cursor": last if page.last is not None else None, "after": last}


class _History:
    """A run, its plan and its records by node and scope, as far as their keys start with `prefix`."""

    def __init__(self, tenant: Tenant, execution_id: str, prefix: str = _EVERYTHING) -> None:
        runs = RunStore(TenantTable(tenant))
        self.run: Run = runs.get(execution_id)
        self.plan: Plan = plans.load(tenant, self.run.plan)
        self._objects = payload_objects(tenant)
        own: dict[tuple[str, str], NodeRecord] = {}
        packed: dict[tuple[str, str], NodeRecord] = {}
        # Of packs, a later one is right: pure nodes are computed again.
        for item in runs.journal(execution_id, prefix):
            for record in records_of(item):
                known = packed if "pack" in item else own
                if record.status != "pending" or known is own:
                    known[record.node, record.scope] = record
                else:  # a call gave up a pure container in the middle; a branch beside it may have finished it
                    known.setdefault((record.node, record.scope), record)
        self.records = packed | own
        self._lists: dict[tuple[str, str], list[Any]] = {}

    def status(self, node: BoundNode, scope: str) -> NodeStatus:
        """The node's status there; a run that has ended leaves nothing open."""
        record = self.records.get((node.id, scope))
        if not self.run.ended:
            if record is None or (record.status == "failed" and not record.handled and not scope):
                return "pending"  # or failed in an earlier attempt, and not yet run again
            return record.status
        if record is not None and record.status in _SETTLED:
            return record.status
        return "skipped" if record is None and self.run.status == "completed" else "cancelled"

    def shape(self, node: BoundNode, scope: str, inputs: Ports, shown: Shown) -> Json:
        """One run of a node, as the API shows it."""
        status = self.status(node, scope)
        record = self.records.get((node.id, scope)) if status != "pending" else None
        record = record or NodeRecord(node.id, scope, status)
        return {
            "type": node.type,
            "status": status,
            **_times(record.started_at, record.completed_at),
            "attempts": record.attempts,
            "inputs": shown.ports(inputs) if record.started_at is not None else {},
            "outputs": shown.ports(record.outputs),
            "error": record.error,
            "usage": record.usage,
            "logs": record.logs,
            "task_id": record.task,
            "child_execution_id": record.child,
            "until": None if record.until is None else iso(record.until),
            "origin": record.origin,
        }

    def summary(self, node: BoundNode) -> Json:
        """All runs of a node in a loop, summed up: `iterations` counts them by status."""
        found = [r for (n, _), r in self.records.items() if n == node.id]
        counts = Counter(self.status(node, r.scope) for r in found)
        started = [r.started_at for r in found if r.started_at is not None]
        completed = [r.completed_at for r in found if r.completed_at is not None]
        status = self._overall(node, counts)
        return {
            "type": node.type,
            "status": status,
            **_times(min(started, default=None), max(completed, default=None) if status not in _OPEN else None),
            "attempts": sum(r.attempts for r in found),
            "inputs": {},
            "outputs": {},
            "error": next((r.error for r in found if r.error is not None), None),
            "usage": _summed(r.usage for r in found),
            "logs": [],
            "task_id": None,
            "child_execution_id": None,
            "until": None,
            "origin": next((r.origin for r in found if r.origin is not None), self._given(node)),
            "iterations": {"total": len(found), **counts},
        }

    def _overall(self, node: BoundNode, counts: Mapping[NodeStatus, int]) -> NodeStatus:
        container = self.plan.nodes[node.scope]
        outer: NodeStatus = self.summary(container)["status"] if container.scope else self.status(container, "")
        if outer not in (*_SETTLED, "cancelled"):
            if counts.get("paused") and not counts.get("running") and not counts.get("pending"):
                return "paused"  # all passes that are at it wait
            return "running" if counts else "pending"
        if not counts and self._given(node) is not None:
            return outer
        for status in _WEIGHTIEST:
            if counts.get(status):
                return status
        return "cancelled" if outer == "cancelled" else "skipped"

    def _given(self, node: BoundNode) -> Origin | None:
        """Where the outputs of the container around a node come from, if this run has not run it."""
        outermost = self.plan.around(node.scope)[0]
        record = self.records.get((outermost, ""))
        return record.origin if record is not None else None

    def inputs(self, node: BoundNode, scope: str) -> Ports:
        """What the node was given there, by port: delivered by connections, or typed in."""
        delivered: dict[str, list[Stored]] = {}
        for edge in self.plan.incoming[node.id]:
            value = self._delivered(edge, node.scope, scope)
            if value is not None and edge.target_port != AFTER:
                delivered.setdefault(edge.target_port, []).append(value)
        record = self.records.get((node.id, scope))
        typed_in = record.inputs if record else {}
        return {**typed_in, **{p: vs if p in node.multiple else vs[0] for p, vs in delivered.items()}}

    def _delivered(self, edge: Edge, container: str, scope: str) -> Stored | None:
        if edge.source != container:
            record = self.records.get((edge.source, scope))
            return record.outputs.get(edge.source_port) if record and record.status in _SETTLED else None
        outer, _, rest = scope.rpartition(f"{container}/")
        place, number = outer.rstrip("/"), int(rest)
        match edge.source_port:
            case "index" | "iteration":
                return {"v": number}
            case "item":
                items = self._items(container, place)
                return {"v": items[number]} if number < len(items) else None
            case "state" if number:
                return self._result(container, f"{outer}{container}/{number - 1}")
            case "state":
                return self._had(container, place, "initial")
        return self._had(container, place, edge.source_port)

    def _had(self, container: str, scope: str, port: str) -> Stored | None:
        """What a container was given there, which may be null; None if that is not recorded, or it has no such port."""
        node = self.plan.nodes[container]
        stored = self.inputs(node, scope).get(port)
        if isinstance(stored, Mapping):
            return stored
        return None if port in node.inputs or port not in get(node.type).inputs else {"v": None}

    def _result(self, container: str, scope: str) -> Stored | None:
        """What a pass gave, if that is what its only last node did."""
        members = self.plan.members[container]
        sinks = set(members) - {e.source for m in members for e in self.plan.incoming[m]}
        last = self.plan.nodes[sinks.pop()] if len(sinks) == 1 else None
        record = None if last is None else self.records.get((last.id, scope))
        if last is None or record is None or self.plan.nodes[container].config.get("result"):
            return None
        return record.outputs.get(last.outputs[0], {"v": None}) if last.outputs else {"v": None}

    def _items(self, container: str, scope: str) -> list[Any]:
        """The list that a loop went through there; an empty one if it lies no longer in S3."""
        if (container, scope) not in self._lists:
            stored = self.inputs(self.plan.nodes[container], scope).get("items")
            try:
                items = Value(encoded=stored, objects=self._objects).get() if isinstance(stored, Mapping) else None
            except LookupError:
                items = None
            self._lists[container, scope] = items if isinstance(items, list) else []
        return self._lists[container, scope]


def _parent(run: Run) -> Json | None:
    """Whose node waits for this run."""
    if run.parent is None:
        return None
    place = _place(run.parent["scope"])
    return {"execution_id": run.parent["execution_id"], "node_id": run.parent["node_id"], "iteration": place}


def _times(started: int | None, completed: int | None) -> Json:
    return {
        "started_at": None if started is None else iso(started),
        "completed_at": None if completed is None else iso(completed),
        "duration_ms": None if started is None or completed is None else completed - started,
    }


def _summed(usages: Iterable[Mapping[str, Any]]) -> Json:
    """The numbers of all usages, added up by name."""
    total: dict[str, Any] = {}
    for usage in usages:
        for name, value in usage.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                total[name] = total.get(name, 0) + value
    return total


def _each(ports: Iterable[Ports]) -> Iterable[Stored]:
    for values in ports:
        for stored in values.values():
            yield from stored if isinstance(stored, list) else [stored]


def _place(scope: str) -> list[int]:
    """Which iteration a scope is, from the outermost loop inwards: `each/3/inner/0` is [3, 0]."""
    return [int(number) for number in scope.split("/")[1::2]]


def offset_of(start: Mapping[str, str] | None) -> int:
    """How many entries a cursor leaves out. Raises BadRequest."""
    if start is None:
        return 0
    number = start.get("SK", "")
    if not number.isascii() or not number.isdecimal() or len(number) > 9:
        raise BadRequest("cursor is malformed", code="bad_cursor")
    return int(number)
