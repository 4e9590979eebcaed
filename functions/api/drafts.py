"""The answer to what makes a draft of something else than a document: of a template, an import, a shared link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from functions.api.deps import Made, etag_of
from functions.api.schemas.workflows import ProblemOut, WorkflowSummary
from shared.tenancy import Principal
from shared.workflows.record import Workflow
from shared.workflows.service import document_of


def draft_made(
    who: Principal, workflow: Workflow, document: dict[str, Any], more: Sequence[dict[str, Any]] = ()
) -> Made:
    """201 with the workflow and all its problems; `more` come first."""
    # The compiler takes a while to import, and most requests do without it.
    from stepfunctions.exports.requires import problems

    found = [*more, *(d.as_dict() for d in problems(who.tenant, document_of(document)))]
    body = {
        **document,
        **WorkflowSummary.model_validate(workflow).model_dump(mode="json"),
        "problems": [ProblemOut.model_validate(p).model_dump(mode="json") for p in found],
    }
    headers = {"ETag": etag_of(workflow.revision), "Location": f"/api/v1/workflows/{workflow.id}"}
    return Made(201, body, headers)
