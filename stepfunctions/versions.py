"""Two versions of a workflow side by side: what differs in the documents, and what that does to the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.tenancy import Tenant
from shared.workflows.difference import Difference, difference
from shared.workflows.service import document_of
from shared.workflows.store import Json
from stepfunctions.release import WhichVersion, document_at


@dataclass(frozen=True, slots=True)
class Compared:
    """Numbers of versions (0: the draft). The plans are as `_plan` tells of them."""

    before: int
    after: int
    difference: Difference
    plan_before: Mapping[str, Any]
    plan_after: Mapping[str, Any]


def compare(tenant: Tenant, workflow_id: str, version: int, to: WhichVersion) -> Compared:
    """What has become of a version in another one, or in the draft. Raises NotFound."""
    _, before, old = document_at(tenant, workflow_id, version)
    _, after, new = document_at(tenant, workflow_id, to)
    return Compared(before, after, difference(old, new), _plan(old, before), _plan(new, after))


def _plan(raw: Json, version: int) -> dict[str, Any]:
    """What a document compiles to: its segments, its transitions, what 1,000 runs cost; or how many errors it has."""
    from stepfunctions.compiler.compile import compile_document
    from stepfunctions.explain import explain

    compiled = compile_document(document_of(raw), version=version)
    if compiled.plan is None:
        return {"valid": False, "errors": sum(d.severity == "error" for d in compiled.diagnostics)}
    told = explain(compiled.plan)
    return {
        "valid": True,
        "machine": compiled.plan.machine,
        "tier": told["tier"]["name"],
        "segments": [s["nodes"] for s in told["segments"]],
        "questions": [q["node"] for q in told["questions"]],
        "transitions": told["transitions"],
        "calls": told["calls"],
        "cost_per_1000_runs": told["cost_per_1000_runs"],
    }
