"""Workflows: templates to make them of, the library's and the tenant's own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from functions.api.deps import IfMatch, Made, Once, Paged, etag_of, require
from functions.api.drafts import draft_made
from functions.api.schemas.pages import PageOf
from functions.api.schemas.templates import (
    DraftOut,
    InstantiateIn,
    TemplateOfIn,
    TemplateOut,
    TemplatePatch,
    TemplateSummary,
)
from shared.templates import service
from shared.templates.model import Template
from shared.tenancy import Principal
from shared.workflows import service as workflows

router = APIRouter(prefix="/workflows", tags=["templates"])
Reader = Annotated[Principal, require("viewer", "workflows:read")]
Writer = Annotated[Principal, require("editor", "workflows:write")]
Word = Annotated[str | None, Query(max_length=200)]


@router.get("/templates")
def list_all(
    who: Reader,
    page: Paged,
    category: Word = None,
    q: Word = None,
    source: Annotated[Literal["library", "tenant"] | None, Query()] = None,
) -> PageOf[TemplateSummary]:
    """The library's templates and the tenant's own. `q` is looked for in name, description and tags."""
    found = service.listing(who, page.cursor, page.limit, source, category, q)
    return PageOf[TemplateSummary].model_validate(found)


@router.get("/templates/{template_id}")
def get(template_id: str, who: Reader, response: Response) -> TemplateOut:
    """A template with its document."""
    return _shown(service.read(who, template_id), response)


@router.patch("/templates/{template_id}")
def change(template_id: str, body: TemplatePatch, who: Writer, known: IfMatch, response: Response) -> TemplateOut:
    """Change one of the tenant's templates; the library's do not change (403)."""
    return _shown(service.change(who, template_id, service.Changes(**_given(body)), known), response)


@router.delete("/templates/{template_id}", status_code=204)
def remove(template_id: str, who: Writer, known: IfMatch) -> None:
    """Remove one of the tenant's templates. Workflows made of it stay."""
    service.remove(who, template_id, known)


@router.post("/templates/{template_id}/instantiate", status_code=201, response_model=DraftOut)
def instantiate(template_id: str, who: Writer, once: Once, body: InstantiateIn | None = None) -> Response:
    """A new workflow, as a draft. `problems` names what it lacks, such as a credential that is not there yet."""
    wanted = body or InstantiateIn()

    def make() -> Made:
        filled = service.fill(who, template_id, wanted.name, wanted.parameters)
        return draft_made(who, *workflows.create(who, filled.document, filled.origin))

    return once(who, wanted, make)


@router.post("/{workflow_id}/template", status_code=201, response_model=TemplateOut)
def of_workflow(workflow_id: str, who: Writer, once: Once, body: TemplateOfIn | None = None) -> Response:
    """A template of the tenant's own: the draft of this workflow, with chosen values as parameters."""
    wanted = body or TemplateOfIn()

    def make() -> Made:
        about = _given(wanted)
        about.pop("parameters")
        chosen = [
            service.Chosen(c.name, c.path, c.title, c.description, c.json_schema, c.required) for c in wanted.parameters
        ]
        made = service.from_workflow(who, workflows.read(who, workflow_id)[1], service.Changes(**about), chosen)
        headers = {"ETag": etag_of(made.version), "Location": f"/api/v1/workflows/templates/{made.id}"}
        return Made(201, TemplateOut.model_validate(made), headers)

    return once(who, wanted, make)


def _given(body: TemplatePatch | TemplateOfIn) -> dict[str, Any]:
    found = {name: getattr(body, name) for name in type(body).model_fields}
    return found if found["tags"] is None else {**found, "tags": tuple(found["tags"])}


def _shown(template: Template, response: Response) -> TemplateOut:
    response.headers["ETag"] = etag_of(template.version)
    return TemplateOut.model_validate(template)
