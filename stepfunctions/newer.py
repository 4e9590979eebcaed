"""Going on with a failed or cancelled run under another version of its workflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from shared.clock import now_ms
from shared.errors import Conflict, Problem
from shared.runs.model import SINGLE_NODE as SINGLE_NODE
from shared.runs.model import NodeRecord, Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tasks.service import TaskService
from shared.tenancy import Tenant
from stepfunctions import control, plans
from stepfunctions.fit import Fit
from stepfunctions.plan import Plan
from stepfunctions.recorded import Recorded, read
from stepfunctions.release import WhichVersion, runnable


def retry(tenant: Tenant, execution_id: str, version: WhichVersion, budget: Mapping[str, int] | None = None) -> Run:
    """Go on with a failed or cancelled run where it stopped, under another version, if what is recorded fits that.

    Raises NotFound; Conflict as `control.retry` does, or when the version does not fit, with one problem for each node;
    Invalid for a draft with problems.
    """
    run = control.retriable(tenant, execution_id)
    moved, plan = version_for(tenant, run, version)
    if moved.plan == run.plan:
        return control.retry(tenant, execution_id, budget)
    moved = moved if budget is None else replace(moved, budget=budget)
    runs = RunStore(TenantTable(tenant))
    answerable = TaskService(tenant).answerable(execution_id)
    move(runs, run, moved, read(runs, execution_id, plans.load(tenant, run.plan), answerable), plan)
    return control.reopen(tenant, moved, plan)


def version_for(tenant: Tenant, run: Run, version: WhichVersion) -> tuple[Run, Plan]:
    """The run as it goes on under another version, with the plan of that. Nothing is changed yet.

    Raises NotFound; Invalid for a draft with problems; Conflict for a single node's run, which has no versions.
    """
    if run.triggered_by.get("kind") == SINGLE_NODE:
        raise Conflict(f"execution {run.id} ran a single node, which has no versions", code="single_node")
    published = runnable(tenant, run.workflow_id, version)
    moved = replace(run, version=published.version, plan=published.plan, machine=published.machine)
    return moved, plans.load(tenant, published.plan)


def counts(plan: Plan, record: NodeRecord) -> bool:
    """Whether a settled record holds what cannot be had again for nothing: see `stepfunctions.fit`."""
    return record.origin in ("edited", "pinned") or (record.status != "skipped" and not plan.nodes[record.node].pure)


def refuse_misfits(fit: Fit, run: Run, moved: Run) -> None:
    """Raises Conflict with everything that does not fit."""
    problems = fit.problems(run.trigger_node)
    if problems:
        version = f"version {moved.version}" if moved.version else "the draft"
        message = f"what execution {run.id} has recorded does not fit {version}: {problems[0].message}"
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise Conflict(message + more, code="does_not_fit", errors=problems)


def move(runs: RunStore, run: Run, moved: Run, recorded: Recorded, new: Plan) -> None:
    """Make a run's journal one of the new plan's. Raises Conflict, before anything is changed, if it does not fit, or
    if a node of it is still in flight.

    What can be computed again is forgotten; a result that counts stays; what is to be done anew is put down.
    """
    old = recorded.plan
    busy = [r.node for r, item in recorded.own.values() if item["status"] == "running" and item["lease"] > now_ms()]
    if busy:  # a call of the last attempt is at it yet, under the plan of that
        message = f"{busy[0]} is still in flight; try again when it has ended"
        raise Conflict(message, code="in_flight", errors=[Problem("in_flight", message, f"nodes.{n}", n) for n in busy])
    kept = [r for r in recorded.results() if counts(old, r)]
    asked = [r for r, _ in recorded.own.values() if r.status == "paused" and r.task in recorded.answerable]
    kept += [r for r in asked if not recorded.is_over(r.scope)]
    fit = Fit(old, new, [*kept, *_with_lots(runs, run, recorded)])
    refuse_misfits(fit, run, moved)
    stays = {(r.scope, r.node) for r in kept}
    for record, item in recorded.inner_first():
        if (record.scope, record.node) in stays or recorded.is_over(record.scope):
            continue
        node, was = new.nodes.get(record.node), old.nodes[record.node]
        same = node is not None and not node.pure and (node.type, node.scope) == (was.type, was.scope)
        rests = record.status == "paused" or record.child is not None
        if not same or record.status in ("completed", "skipped") or (rests and fit.reasons(record)):
            runs.drop_node(run.id, record, item)
        elif recorded.starts_anew(record):
            runs.reset_node(run.id, record, item)
    # Of a container that is over and stays, what people may want to see of its passes stays too.
    runs.drop_packs(run.id, [key for key in recorded.packs if ("", _outermost(key)) not in stays])


def _with_lots(runs: RunStore, run: Run, recorded: Recorded) -> Iterator[NodeRecord]:
    """Loops that are not over and have lots: those hold results that their passes gave, whatever those were made of."""
    for record, _ in recorded.own.values():
        if recorded.plan.nodes[record.node].opened and not recorded.is_over(record.scope):
            path = f"{record.scope}/{record.node}" if record.scope else record.node
            if any(True for _ in runs.lots(run.id, path)):
                yield NodeRecord(record.node, record.scope, "completed")


def _outermost(sort_key: str) -> str:
    """The outermost container in whose passes the records of a pack lie: `each` of `J#each/#P#…`."""
    return sort_key.split("#")[1].split("/")[0]
