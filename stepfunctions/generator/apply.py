"""From a generation to what it has thought up: the workflow's draft and its new agents, all of it or nothing.

One transaction writes everything, with a mark that says so: whoever repeats it, after a crash as well, gets what was
made. Nothing is published, and nothing that is there is changed but the draft that was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.clock import now_ms
from shared.errors import Conflict, Invalid, NotFound, PreconditionFailed, Problem
from shared.generations.model import KEPT_SECONDS, Generation
from shared.ids import digest
from shared.resources import service as resources
from shared.resources.documents import Agent
from shared.resources.model import Resource
from shared.resources.store import ResourceStore
from shared.store.table import Attr, ConditionFailed, TenantTable, Write
from shared.tenancy import Principal
from shared.workflows import service as workflows
from shared.workflows.model import Document
from shared.workflows.record import Workflow
from shared.workflows.store import WorkflowStore

MAX_AGENTS: Final = 40  # two records each, and a transaction has a hundred

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made. With a `workflow_id` that draft is changed, if it is still at `revision`."""

    document: Document
    agents: Sequence[Agent] = ()
    workflow_id: str | None = None
    revision: int | None = None
    origin: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What was made: the workflow with its draft, and the names of the agents. `again`: it had been made before."""

    workflow: Workflow
    document: Json
    agents: tuple[str, ...]
    again: bool


def of_generation(generation: Generation) -> tuple[Wanted, str]:
    """What a generation has thought up, and the mark under which that is made once. Raises Conflict (`not_done`)."""
    if generation.status != "done":
        raise Conflict(f"the generation is {generation.status}; only what is done can be applied", code="not_done")
    state = generation.state
    result = state["result"]
    wanted = Wanted(
        document=workflows.document_of(result["workflow"]),
        agents=[Agent.model_validate(a) for a in result["agents_to_create"]],
        workflow_id=state["workflow_id"],
        revision=state["revision"],
        origin={"kind": "generation", "id": generation.id},
    )
    return wanted, digest("apply", generation.id)


def apply(who: Principal, wanted: Wanted, mark: str | None) -> Applied:
    """Make it. One `mark` makes it once.

    Raises NotFound, PreconditionFailed (the draft has changed), Conflict (`name_taken`, `id_taken`: `errors` has all
    names that are taken), Invalid, TooLarge.
    """
    table = TenantTable(who.tenant)
    before = _made_before(who, table, mark)
    if before is not None:
        return before
    try:
        return _applied(who, table, wanted, mark)
    except (Conflict, PreconditionFailed):
        before = _made_before(who, table, mark)
        if before is None:
            raise
        return before  # somebody did the same, at the same time


def _applied(who: Principal, table: TenantTable, wanted: Wanted, mark: str | None) -> Applied:
    agents = [resources.prepared(who, "agents", a) for a in wanted.agents]
    _check_names(agents)
    workflow, stored, writes = _draft(who, table, wanted)
    named = tuple(a.name for a in agents)
    writes += [w for a in agents for w in ResourceStore(table).creating(a)]
    if mark is not None:
        now_s, key = now_ms() // 1000, table.keys.idempotency(mark)
        item = {"workflow_id": workflow.id, "agents": list(named), "ttl": now_s + KEPT_SECONDS}
        free = Attr("PK").not_exists() | Attr("ttl").lte(now_s)
        writes.append(Write("Put", (key.pk, key.sk), item, condition=free))
    try:
        table.transact(writes)
    except ConditionFailed as failed:
        raise _in_the_way(table, wanted, agents, failed) from None
    return Applied(workflow, stored, named, again=False)


def _draft(who: Principal, table: TenantTable, wanted: Wanted) -> tuple[Workflow, Json, list[Write]]:
    store = WorkflowStore(table)
    if wanted.workflow_id is None:
        made, stored = workflows.prepared(who, wanted.document, wanted.origin)
        return made, stored, store.creating(made, stored)
    if wanted.document.id not in (None, wanted.workflow_id):
        message = "a workflow's id does not change"
        raise Invalid(message, errors=[Problem("other_id", message, "workflow.id")])
    stored = workflows.as_json(wanted.document, wanted.workflow_id)
    before = store.get(wanted.workflow_id)
    if before.revision != wanted.revision:
        raise _changed(before)
    after, writes = store.saving(before, stored, now_ms())
    return after, stored, writes


def _made_before(who: Principal, table: TenantTable, mark: str | None) -> Applied | None:
    item = None if mark is None else table.get(table.keys.idempotency(mark), consistent=True)
    if item is None or item["ttl"] * 1000 <= now_ms():
        return None
    workflow, document = workflows.read(who, item["workflow_id"])
    return Applied(workflow, document, tuple(item["agents"]), again=True)


def _check_names(agents: Sequence[Resource]) -> None:
    names = [a.name for a in agents]
    twice = [at for at, name in enumerate(names) if name in names[:at]]
    if twice:
        errors = [Problem("name_taken", f"two agents are called {names[at]}", _path(at)) for at in twice]
        raise Invalid(errors[0].message, errors=errors)


def _in_the_way(
    table: TenantTable, wanted: Wanted, agents: Sequence[Resource], failed: ConditionFailed
) -> Conflict | PreconditionFailed | NotFound:
    store, errors = ResourceStore(table), []
    for at, agent in enumerate(agents):
        try:
            store.get("agents", agent.name)
        except NotFound:
            continue
        errors.append(Problem("name_taken", f"there is an agent {agent.name} already", _path(at)))
    if errors:
        return Conflict(errors[0].message + "; nothing was made", code="name_taken", errors=errors)
    if wanted.workflow_id is None:
        return Conflict(f"there is a workflow {wanted.document.id} already; nothing was made", code="id_taken")
    if failed.item is None:
        return NotFound(f"there is no workflow {wanted.workflow_id}")
    return _changed(WorkflowStore(table).get(wanted.workflow_id))


def _changed(workflow: Workflow) -> PreconditionFailed:
    return PreconditionFailed(f"the workflow is at revision {workflow.revision} by now; have the change made anew")


def _path(at: int) -> str:
    return f"agents_to_create.{at}.name"
