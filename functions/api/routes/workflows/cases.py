"""Tests of a workflow: cases that are kept, and run in memory."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Response

from functions.api.deps import IfMatch, Made, Once, Paged, etag_of, require
from functions.api.schemas.cases import CaseIn, CaseOut, CaseResultOut, CaseResultsOut, RunCasesIn
from functions.api.schemas.pages import PageOf
from shared.cases.model import KeptCase
from shared.tenancy import Principal

router = APIRouter(prefix="/workflows", tags=["workflows"])
Reader = Annotated[Principal, require("viewer", "workflows:read")]
Writer = Annotated[Principal, require("editor", "workflows:write")]


@router.get("/{workflow_id}/tests")
def list_tests(workflow_id: str, who: Reader, page: Paged) -> PageOf[CaseOut]:
    """The workflow's tests, the oldest first."""
    from stepfunctions.rehearsal import service

    found = service.page(who, workflow_id, page.cursor, page.limit)
    return PageOf[CaseOut](items=[_shown(c) for c in found.items], next_cursor=found.next_cursor)


@router.post("/{workflow_id}/tests", status_code=201, response_model=CaseOut)
def create_test(workflow_id: str, body: CaseIn, who: Writer, once: Once) -> Response:
    """Keep a test. It may name nodes that the workflow does not have yet."""
    from stepfunctions.rehearsal import service

    def make() -> Made:
        made = service.create(who, workflow_id, body)
        location = f"/api/v1/workflows/{workflow_id}/tests/{made.id}"
        return Made(201, _shown(made), {"ETag": etag_of(made.revision), "Location": location})

    return once(who, body, make)


@router.post("/{workflow_id}/tests/run")
def run_tests(workflow_id: str, who: Writer, body: RunCasesIn | None = None) -> CaseResultsOut:
    """Run tests on the draft or a version: the real plan and engine, in memory, with mocks for all of the world.

    At most 25 seconds for all of them; waits take no time. A test that fails is part of the answer, not an error.
    """
    from stepfunctions.rehearsal import service

    wanted = body or RunCasesIn()
    version = "draft" if wanted.version is None else wanted.version
    number, tested = service.run(who.tenant, workflow_id, version, wanted.cases, wanted.unsaved)
    cases = [CaseResultOut(id=t.id, name=t.name, **_result(t.verdict)) for t in tested]
    passed = sum(c.passed for c in cases)
    counts = {"passed": passed, "failed": len(cases) - passed}
    return CaseResultsOut(
        workflow_id=workflow_id, version=number, passed=passed == len(cases), counts=counts, cases=cases
    )


@router.get("/{workflow_id}/tests/{test_id}")
def get_test(workflow_id: str, test_id: str, who: Reader, response: Response) -> CaseOut:
    """One test."""
    if test_id == "run":  # the word of the route that runs them
        raise HTTPException(405, headers={"Allow": "POST"})
    from stepfunctions.rehearsal import service

    return _with_etag(service.get(who, workflow_id, test_id), response)


@router.put("/{workflow_id}/tests/{test_id}")
def put_test(workflow_id: str, test_id: str, body: CaseIn, who: Writer, known: IfMatch, response: Response) -> CaseOut:
    """Replace a test."""
    from stepfunctions.rehearsal import service

    return _with_etag(service.change(who, workflow_id, test_id, body, known), response)


@router.delete("/{workflow_id}/tests/{test_id}", status_code=204)
def remove_test(workflow_id: str, test_id: str, who: Writer, known: IfMatch) -> None:
    """Remove a test."""
    from stepfunctions.rehearsal import service

    service.remove(who, workflow_id, test_id, known)


def _with_etag(case: KeptCase, response: Response) -> CaseOut:
    response.headers["ETag"] = etag_of(case.revision)
    return _shown(case)


def _shown(case: KeptCase) -> CaseOut:
    fields = {name: getattr(case, name) for name in KeptCase.__slots__ if name != "case"}
    return CaseOut(**case.case, **fields)


def _result(verdict: Any) -> dict[str, Any]:
    fields = {name: getattr(verdict, name) for name in verdict.__slots__}
    return {**fields, "problems": list(verdict.problems), "differences": list(verdict.differences)}
