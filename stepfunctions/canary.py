"""Canaries: another version gets some of a workflow's runs, and loses them again when too many of them fail.

Which version a run is of is decided in one place, when it starts (`stepfunctions.published.Published.of_run`). Its end
is counted by the table's stream, which may tell of it twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Final

from shared.canaries.model import Canary, Count
from shared.canaries.store import CanaryStore
from shared.clock import now_ms
from shared.errors import Conflict, Invalid, PreconditionFailed, Problem, Unavailable
from shared.ids import new_id
from shared.nodes.base import Trigger
from shared.nodes.registry import find
from shared.store.table import TenantTable
from shared.tenancy import Principal, Tenant
from shared.workflows.record import Workflow
from shared.workflows.store import Json, WorkflowStore
from stepfunctions.canary_ends import ended_as, window_at

_NOT: Final = "not_published"
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class CanaryView:
    """A canary with what was counted of it: in all, and in the window that is now."""

    canary: Canary
    total: Count
    window: Count


def begin(
    who: Principal,
    workflow_id: str,
    version: int,
    *,
    weight: int,
    max_failure_rate: float,
    min_runs: int,
    window_seconds: int,
    known: int | None = None,
) -> CanaryView:
    """Give a version so many of a hundred runs. One that is there already ends: what was counted begins anew.

    Raises NotFound; PreconditionFailed (`known` is not the revision of the one that is there), Unavailable; Conflict
    (`not_published`, `same_version`, `published_meanwhile`); Invalid (`triggers_differ`: the triggers are the published
    version's, and those of the canary must be the same).
    """
    table = TenantTable(who.tenant)
    store = WorkflowStore(table)
    workflow = store.get(workflow_id)
    if workflow.published_version is None:
        raise Conflict("the workflow is not published: there is nothing beside which a canary could be", code=_NOT)
    candidate, document = store.version(workflow, version)
    if version == workflow.published_version:
        raise Conflict(f"version {version} is the published one", code="same_version")
    _check_triggers(store.version(workflow, workflow.published_version)[1], document)
    canaries = CanaryStore(table)
    made = Canary(
        id=new_id("cn"),
        version=version,
        instead_of=workflow.published_version,
        weight=weight,
        max_failure_rate=max_failure_rate,
        min_runs=min_runs,
        window_seconds=window_seconds,
        started_at=now_ms(),
        started_by=who.id,
    )
    for _ in range(_TRIES):
        before = canaries.find(workflow)
        revision = 0 if before is None else before.revision
        _same(known, revision)
        made = replace(made, revision=revision + 1)
        if canaries.begin(workflow, made, candidate.published, before):
            return CanaryView(made, Count(0, 0), Count(0, 0))
    raise Unavailable("others are changing this at the same time; try again")


def get(tenant: Tenant, workflow_id: str) -> CanaryView:
    """The workflow's canary, or the last it had. Raises NotFound."""
    table = TenantTable(tenant)
    store = CanaryStore(table)
    canary = store.last(WorkflowStore(table).get(workflow_id))
    total = store.counted(workflow_id, canary.id)
    return CanaryView(
        canary, total, store.counted(workflow_id, canary.id, window_at(canary, canary.ended_at or now_ms()))
    )


def remove(who: Principal, workflow_id: str, known: int | None = None) -> None:
    """Every run is of the published version again. Doing it again changes nothing.

    Raises NotFound, PreconditionFailed (as `begin`).
    """
    store, canary = _last(who.tenant, workflow_id)
    _same(known, canary.revision)
    if canary.state == "active":
        store.end(workflow_id, ended_as(canary, "removed", who.id, "somebody removed it"))


def promote(who: Principal, workflow_id: str) -> Workflow:
    """Make the canary's version the published one. Raises NotFound; Conflict (`no_canary`) if there is none by now."""
    store, canary = _last(who.tenant, workflow_id)
    workflows = WorkflowStore(TenantTable(who.tenant))
    workflow = workflows.get(workflow_id)
    if canary.state != "active" or workflow.canary is None:
        raise Conflict(f"the canary is {canary.state}", code="no_canary")
    if not workflows.promote(workflow, canary.version, workflow.canary["published"], canary.id):
        raise Conflict("the canary has just ended", code="no_canary")
    store.note(workflow_id, ended_as(canary, "promoted", who.id, "somebody made it the published version"))
    return workflows.get(workflow_id)


def _same(known: int | None, revision: int) -> None:
    if known is not None and known != revision:
        message = f"the canary is at revision {revision} by now; read it again" if revision else "there is no canary"
        raise PreconditionFailed(message)


def _last(tenant: Tenant, workflow_id: str) -> tuple[CanaryStore, Canary]:
    table = TenantTable(tenant)
    store = CanaryStore(table)
    return store, store.last(WorkflowStore(table).get(workflow_id))


def _check_triggers(published: Json, canary: Json) -> None:
    """Raises Invalid."""
    before, after = _triggers(published), _triggers(canary)
    if before == after:
        return
    wrong = [n for n in {**before, **after} if before.get(n) != after.get(n)]
    message = "a canary has the triggers of the published version: publish it to change them"
    problems = [Problem("triggers_differ", f"the trigger {n} is another one, or only in one", None, n) for n in wrong]
    raise Invalid(f"{message} ({', '.join(wrong[:5])})", code="triggers_differ", errors=problems)


def _triggers(document: Json) -> dict[str, str]:
    return {
        n["id"]: json.dumps([n["type"], n.get("config"), n.get("disabled")], sort_keys=True)
        for n in document["nodes"]
        if isinstance(find(n["type"]), Trigger)
    }
