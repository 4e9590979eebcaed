"""Templates of guided workflows. Every change is a version that is kept; instances go on with theirs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from functions.api.deps import IfMatch, Once, Paged, etag_of, require
from functions.api.schemas.guided import (
    Day,
    GuidedAnalytics,
    WorkflowTemplateOut,
    WorkflowTemplateSummary,
    analytics_of,
    summaries_of,
)
from functions.api.schemas.pages import PageOf
from functions.api.schemas.resources import ResourceVersionOut, ResourceVersionSummary, body_of, made
from shared.guided import service
from shared.guided.documents import Template
from shared.resources import service as resources
from shared.resources.model import Resource
from shared.tenancy import Principal

router = APIRouter(prefix="/workflow-templates", tags=["workflow-templates"])
Reader = Annotated[Principal, require("viewer", "workflow_templates:read")]
Writer = Annotated[Principal, require("editor", "workflow_templates:write")]
Editor = Annotated[Principal, require("editor", "workflow_templates:read")]
Category = Annotated[str | None, Query(max_length=200)]


@router.get("")
def list_all(
    who: Reader, page: Paged, category: Category = None, is_active: bool | None = None
) -> PageOf[WorkflowTemplateSummary]:
    """The templates, by name. Who is no editor sees those that are active and that they may use."""
    return summaries_of(service.templates(who, category, is_active, page.cursor, page.limit))


@router.post("", status_code=201, response_model=WorkflowTemplateOut)
def create(body: Template, who: Writer, once: Once) -> Response:
    """Make a template. Nobody but admins may use it before there are permissions."""
    return once(who, body, lambda: made(service.create_template(who, body), "workflow-templates"))


@router.get("/{template_name}", response_model=WorkflowTemplateOut)
def get(template_name: str, who: Reader) -> Response:
    """One template."""
    return _answer(service.template(who, template_name))


@router.put("/{template_name}", response_model=WorkflowTemplateOut)
def put(template_name: str, body: Template, who: Writer, known: IfMatch) -> Response:
    """Replace a template: a new version of it."""
    return _answer(service.put_template(who, template_name, body, known))


@router.delete("/{template_name}", status_code=204)
def remove(template_name: str, who: Writer, known: IfMatch) -> None:
    """Remove a template with its versions and permissions; 409 `template_in_use` while instances of it are active."""
    service.remove_template(who, template_name, known)


@router.get("/{template_name}/versions")
def versions(template_name: str, who: Reader, page: Paged) -> PageOf[ResourceVersionSummary]:
    """What a template was before, newest first."""
    service.template(who, template_name)
    found = resources.versions(who, service.TEMPLATES, template_name, page.cursor, page.limit)
    return PageOf[ResourceVersionSummary].model_validate(found)


@router.get("/{template_name}/versions/{version}")
def version(template_name: str, version: int, who: Reader) -> ResourceVersionOut:
    """One version with its document."""
    return ResourceVersionOut.model_validate(resources.version(who, service.TEMPLATES, template_name, version))


@router.get("/{template_name}/analytics")
def analytics(
    template_name: str,
    who: Editor,
    first: Annotated[Day | None, Query(alias="from")] = None,
    last: Annotated[Day | None, Query(alias="to")] = None,
) -> GuidedAnalytics:
    """How many began, ended and how, and where people left: of what happened from one day to another (UTC). Editors."""
    return analytics_of(template_name, service.counts(who, template_name, first, last))


def _answer(resource: Resource) -> Response:
    return JSONResponse(body_of(resource), headers={"ETag": etag_of(resource.version)})
