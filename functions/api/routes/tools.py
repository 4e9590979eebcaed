"""Tools: what agents and workflows can call by name."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from functions.api.deps import IfMatch, Once, Paged, etag_of, require
from functions.api.schemas.pages import PageOf
from functions.api.schemas.resources import (
    ResourceVersionOut,
    ResourceVersionSummary,
    ToolOut,
    ToolSummary,
    body_of,
    made,
    summary_of,
)
from shared.resources import service
from shared.resources.documents import AnyTool
from shared.resources.model import Resource
from shared.tenancy import Principal

router = APIRouter(prefix="/tools", tags=["tools"])
Reader = Annotated[Principal, require("viewer", "tools:read")]
Writer = Annotated[Principal, require("editor", "tools:write")]


@router.get("")
def list_all(who: Reader, page: Paged) -> PageOf[ToolSummary]:
    """The tenant's tools, by name."""
    found = service.listing(who, "tools", page.cursor, page.limit)
    items = [summary_of(r) for r in found.items]
    return PageOf[ToolSummary].model_validate({"items": items, "next_cursor": found.next_cursor})


@router.post("", status_code=201, response_model=ToolOut)
def create(body: AnyTool, who: Writer, once: Once) -> Response:
    """Make a tool."""
    return once(who, body, lambda: made(service.create(who, "tools", body), "tools"))


@router.get("/{tool_name}", response_model=ToolOut)
def get(tool_name: str, who: Reader) -> Response:
    """One tool."""
    return _answer(service.read(who, "tools", tool_name))


@router.put("/{tool_name}", response_model=ToolOut)
def put(tool_name: str, body: AnyTool, who: Writer, known: IfMatch) -> Response:
    """Replace a tool: a new version of it."""
    return _answer(service.put(who, "tools", tool_name, body, known))


@router.delete("/{tool_name}", status_code=204)
def remove(tool_name: str, who: Writer, known: IfMatch) -> None:
    """Remove a tool with its versions."""
    service.remove(who, "tools", tool_name, known)


@router.get("/{tool_name}/versions")
def versions(tool_name: str, who: Reader, page: Paged) -> PageOf[ResourceVersionSummary]:
    """What a tool was before, newest first."""
    found = service.versions(who, "tools", tool_name, page.cursor, page.limit)
    return PageOf[ResourceVersionSummary].model_validate(found)


@router.get("/{tool_name}/versions/{version}")
def version(tool_name: str, version: int, who: Reader) -> ResourceVersionOut:
    """One version with its document."""
    return ResourceVersionOut.model_validate(service.version(who, "tools", tool_name, version))


def _answer(resource: Resource) -> Response:
    return JSONResponse(body_of(resource), headers={"ETag": etag_of(resource.version)})
