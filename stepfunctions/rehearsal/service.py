"""The tests of a workflow as people use them: written, changed, run, and asked before something is published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.cases.model import Case, KeptCase
from shared.cases.store import CaseStore
from shared.clock import now_ms
from shared.errors import Invalid, PreconditionFailed, Problem
from shared.ids import new_id
from shared.store.pages import Listing
from shared.store.table import TenantTable
from shared.tenancy import Principal, Tenant
from shared.workflows.model import Document
from shared.workflows.service import document_of
from shared.workflows.store import WorkflowStore
from stepfunctions.plan import Plan
from stepfunctions.rehearsal.compare import schema_problems_of
from stepfunctions.rehearsal.rehearse import Verdict, rehearse
from stepfunctions.release import WhichVersion, document_at

SECONDS: Final = 25.0  # for all cases of a request; an API call has 29
_GATE_SECONDS: Final = 18.0  # publishing has more to do than that
_SHOWN: Final = 50  # failed cases in the problem of a publish


@dataclass(frozen=True, slots=True)
class Tested:
    """A case with what became of it; `id` is None where it is not stored."""

    id: str | None
    name: str
    verdict: Verdict


def create(who: Principal, workflow_id: str, case: Case) -> KeptCase:
    """Keep a new test. Raises NotFound, Invalid (a schema that is none), Conflict, TooLarge."""
    _check(case)
    now = now_ms()
    made = KeptCase(new_id("tc"), workflow_id, as_json(case), 1, now, now, who.id)
    _store(who.tenant).create(made)
    return made


def page(who: Principal, workflow_id: str, cursor: str | None, limit: int) -> Listing[KeptCase]:
    """Some tests of a workflow, the oldest first. Raises NotFound."""
    WorkflowStore(TenantTable(who.tenant)).get(workflow_id)
    return _store(who.tenant).page(workflow_id, cursor, limit)


def get(who: Principal, workflow_id: str, case_id: str) -> KeptCase:
    """One test. Raises NotFound."""
    return _store(who.tenant).get(workflow_id, case_id)


def change(who: Principal, workflow_id: str, case_id: str, case: Case, known: int | None) -> KeptCase:
    """Write another case in its place. Raises NotFound, Invalid, PreconditionFailed, TooLarge."""
    _check(case)
    return _store(who.tenant).change(_known(who, workflow_id, case_id, known), as_json(case), now_ms())


def remove(who: Principal, workflow_id: str, case_id: str, known: int | None) -> None:
    """Remove a test. Raises NotFound, PreconditionFailed."""
    _store(who.tenant).remove(_known(who, workflow_id, case_id, known))


def run(
    tenant: Tenant,
    workflow_id: str,
    version: WhichVersion,
    case_ids: Sequence[str] | None,
    unsaved: Sequence[Case] = (),
) -> tuple[int, list[Tested]]:
    """Run a workflow's tests (None: all of them, unless there are unsaved ones), and cases that are not stored.

    Gives the number of the version that they were run on (0: the draft). Raises NotFound (also for a test that is not
    there); Invalid for a document with problems.
    """
    _, number, raw = document_at(tenant, workflow_id, version)
    store = _store(tenant)
    if case_ids is None:
        kept = [] if unsaved else store.every(workflow_id)
    else:
        kept = [store.get(workflow_id, c) for c in dict.fromkeys(case_ids)]
    named: list[tuple[str | None, Case]] = [*((k.id, k.read()) for k in kept), *((None, c) for c in unsaved)]
    return number, _tested(tenant, _plan(document_of(raw), number), named, SECONDS)


def check(tenant: Tenant, workflow_id: str, document: Document) -> None:
    """Run a workflow's tests on a document that is to be published. Raises Invalid (`tests_failed`, `no_tests`)."""
    kept = _store(tenant).every(workflow_id)
    if not kept:
        message = "the workflow's settings ask for tests, and it has none"
        raise Invalid(message, code="no_tests", errors=[Problem("no_tests", message, "settings.require_tests")])
    tested = _tested(tenant, _plan(document, 0), [(k.id, k.read()) for k in kept], _GATE_SECONDS)
    failed = [t for t in tested if not t.verdict.passed]
    if failed:
        problems = [Problem("test_failed", f"{t.name}: {_why(t.verdict)}", f"tests.{t.id}") for t in failed[:_SHOWN]]
        raise Invalid(f"{len(failed)} of {len(tested)} tests fail", code="tests_failed", errors=problems)


def as_json(case: Case) -> dict[str, Any]:
    """A case as it is stored: what was given, and nothing else."""
    return case.model_dump(mode="json", by_alias=True, include=set(Case.model_fields), exclude_unset=True)


def _why(verdict: Verdict) -> str:
    said = [p.message for p in verdict.problems]
    said += [f"{d.path} is not as expected" for d in verdict.differences]
    return "; ".join(said[:3])[:1_000]


def _tested(tenant: Tenant, plan: Plan, cases: Sequence[tuple[str | None, Case]], seconds: float) -> list[Tested]:
    verdicts = rehearse(tenant, plan, [case for _, case in cases], seconds)
    return [Tested(i, case.name, verdict) for (i, case), verdict in zip(cases, verdicts, strict=True)]


def _plan(document: Document, version: int) -> Plan:
    """Raises Invalid."""
    from stepfunctions.compiler.compile import compile_document

    compiled = compile_document(document, version=version)
    if compiled.plan is None:
        errors = [Problem(d.code, d.message, d.path, d.node_id) for d in compiled.diagnostics if d.severity == "error"]
        raise Invalid("the workflow has problems", code="invalid_workflow", errors=errors)
    return compiled.plan


def _check(case: Case) -> None:
    problems = schema_problems_of(case)
    if problems:
        raise Invalid("; ".join(p.message for p in problems[:3]), code="invalid_schema", errors=problems)


def _known(who: Principal, workflow_id: str, case_id: str, known: int | None) -> KeptCase:
    found = _store(who.tenant).get(workflow_id, case_id)
    if known is not None and known != found.revision:
        raise PreconditionFailed(f"the test is at revision {found.revision} by now; read it again")
    return found


def _store(tenant: Tenant) -> CaseStore:
    return CaseStore(TenantTable(tenant))
