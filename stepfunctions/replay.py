"""A new run from the middle of an old one: what does not come after the chosen node is taken over as recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from shared.clock import now_ms
from shared.errors import Conflict, Invalid, Problem, Unavailable
from shared.ids import new_id
from shared.runs.model import NodeRecord, Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Principal, Tenant
from shared.usage import service as usage
from stepfunctions import newer, plans, prefill
from stepfunctions.fire import id_for
from stepfunctions.fit import Fit
from stepfunctions.plan import Plan
from stepfunctions.recorded import SETTLED, Recorded, read
from stepfunctions.release import WhichVersion
from stepfunctions.start import launch, payload_objects


def replay(
    who: Principal,
    execution_id: str,
    *,
    from_node: str,
    edits: prefill.Outputs,
    version: WhichVersion,
    mark: str | None,
) -> Run:
    """Start a new run like an ended one, from a node of it. One `mark` (a digest of the request) leads to one run.

    `from_node`, the nodes of `edits` and all that comes after those run anew, but the nodes of `edits` only deliver
    what is given there. Everything else is taken over. Without a version the new run follows the same plan.

    Raises NotFound; Invalid for a node or port that is not there; Conflict while the run goes on, or with one problem
    for each node whose record does not fit the version.
    """
    tenant = who.tenant
    runs = RunStore(TenantTable(tenant))
    run = runs.get(execution_id)
    if not run.ended:
        raise Conflict(
            f"execution {execution_id} is {run.status}; a replay needs one that has ended", code="run_not_ended"
        )
    old = plans.load(tenant, run.plan)
    onto, plan = (run, old) if version is None else newer.version_for(tenant, run, version)
    _check(plan, from_node)
    given = prefill.given(plan, edits, payload_objects(tenant), field="edits", origin="edited")
    anew = _after(plan, {from_node, *edits})
    recorded = read(runs, execution_id, old)
    taken = [r for r in recorded.results() if _outermost(r) not in anew and not _opened(old, r)]
    if plan.digest != old.digest:
        taken = [r for r in taken if newer.counts(old, r) and r.node in plan.nodes]
        newer.refuse_misfits(Fit(old, plan, taken), run, onto)
    begun = [c for c in _begun(recorded) if _outermost(c) not in anew and _begins(plan, c)]
    now = now_ms()
    made = Run(
        id=new_id("ex") if mark is None else id_for(tenant, mark),
        workflow_id=run.workflow_id,
        version=onto.version,
        plan=onto.plan,
        machine=onto.machine,
        status="pending",
        trigger_node=run.trigger_node,
        trigger=run.trigger,  # a large value lies in S3 under its hash, for both
        triggered_by={"kind": "replay", "id": run.id, "user": who.person},
        created_at=now,
        deadline=now + plan.timeout_seconds * 1000,
        capped=plan.max_concurrency is not None,
        budget=run.budget,
    )
    usage.reserve(tenant, made.id, made.workflow_id, most=plan.max_concurrency, child=False)
    if not prefill.create(runs, made, [*map(_taken_over, taken), *begun, *given]):
        made = runs.get(made.id)
        if made.ended:
            usage.release(tenant, made.id, made.workflow_id if made.capped else None, unused=True)
    if not made.ended:
        _launch(tenant, made, plan)
    return made


def _launch(tenant: Tenant, run: Run, plan: Plan) -> None:
    with suppress(Unavailable):  # the run is written down: the sweeper launches what could not be launched now
        launch(tenant, run, tuple(q.timeout_seconds for q in plan.questions))


def _check(plan: Plan, from_node: str) -> None:
    node = plan.nodes.get(from_node)
    if node is None:
        message = f"there is no node {from_node}"
        raise Invalid(message, errors=[Problem("unknown_node", message, "from_node")])
    if node.scope:
        message = f"{from_node} is inside {node.scope}; replay from {plan.around(node.scope)[0]}"
        raise Invalid(message, errors=[Problem("inside_container", message, "from_node", from_node)])


def _after(plan: Plan, node_ids: set[str]) -> set[str]:
    """These nodes of the workflow's own level, and everything that comes after them."""
    found = set(node_ids)
    for node_id in plan.members[""]:  # in an order in which they can run
        if found.intersection(plan.nodes[node_id].waits_for):
            found.add(node_id)
    return found


def _outermost(record: NodeRecord) -> str:
    """The node of the workflow's own level that a record belongs to."""
    return record.scope.split("/")[0] or record.node


def _begins(plan: Plan, record: NodeRecord) -> bool:
    node = plan.nodes.get(record.node)
    return node is not None and not node.pure and not node.opened and not _opened(plan, record)


def _opened(plan: Plan, record: NodeRecord) -> bool:
    """Whether a record is of a pass that the state machine runs: how far those have come is its own execution's."""
    return not plan.opened.isdisjoint(plan.around(plan.nodes[record.node].scope))


def _taken_over(record: NodeRecord) -> NodeRecord:
    """A record as another run takes it over: what it used was used there, and its task or child is not this run's."""
    return replace(record, origin=record.origin or "replayed", usage={}, task=None, child=None)


def _begun(recorded: Recorded) -> Iterator[NodeRecord]:
    """Containers that are not over, put down, so that the new run goes on with what is taken over of their passes."""
    for record, _ in recorded.own.values():
        node = recorded.plan.nodes[record.node]
        stands = record.status in SETTLED and not recorded.starts_anew(record)
        if node.kind == "container" and not node.opened and not stands and not recorded.is_over(record.scope):
            yield NodeRecord(record.node, record.scope, "pending")
