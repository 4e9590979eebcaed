"""MCP servers: where tools of others are."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from functions.api.deps import IfMatch, Once, Paged, etag_of, require
from functions.api.schemas.pages import PageOf
from functions.api.schemas.resources import (
    HealthOut,
    McpServerOut,
    McpServerSummary,
    ResourceVersionOut,
    ResourceVersionSummary,
    body_of,
    made,
    summary_of,
)
from shared.mcp.health import health, remembered
from shared.mcp.refresh import look
from shared.resources import service
from shared.resources.documents import McpServer
from shared.resources.model import Resource
from shared.tenancy import Principal
from stepfunctions.outside import Outside

_SECONDS: Final = 20.0  # of the function's thirty

router = APIRouter(prefix="/mcp-servers", tags=["mcp-servers"])
Reader = Annotated[Principal, require("viewer", "mcp_servers:read")]
Writer = Annotated[Principal, require("editor", "mcp_servers:write")]


@router.get("")
def list_all(who: Reader, page: Paged) -> PageOf[McpServerSummary]:
    """The tenant's MCP servers, by name."""
    found = service.listing(who, "mcp_servers", page.cursor, page.limit)
    items = [summary_of(r) for r in found.items]
    return PageOf[McpServerSummary].model_validate({"items": items, "next_cursor": found.next_cursor})


@router.post("", status_code=201, response_model=McpServerOut)
def create(body: McpServer, who: Writer, once: Once) -> Response:
    """Make a server."""
    return once(who, body, lambda: made(service.create(who, "mcp_servers", body), "mcp-servers", found=None))


@router.get("/{server_name}", response_model=McpServerOut)
def get(server_name: str, who: Reader) -> Response:
    """One server."""
    return _answer(who, service.read(who, "mcp_servers", server_name))


@router.put("/{server_name}", response_model=McpServerOut)
def put(server_name: str, body: McpServer, who: Writer, known: IfMatch) -> Response:
    """Replace a server: a new version of it."""
    return _answer(who, service.put(who, "mcp_servers", server_name, body, known))


@router.delete("/{server_name}", status_code=204)
def remove(server_name: str, who: Writer, known: IfMatch) -> None:
    """Remove a server with its versions."""
    service.remove(who, "mcp_servers", server_name, known)


@router.post("/{server_name}/refresh", response_model=McpServerOut)
def refresh(server_name: str, who: Writer) -> Response:
    """Connect to the server, and remember what it has. One that does not answer is `found.ok: false`, with why; what
    it had when it last answered stays. `found.changes` names the tools that are new, gone, or other than before.
    """
    resource = service.read(who, "mcp_servers", server_name)
    seen = asyncio.run(look(Outside(who.tenant, execution_id=""), resource.document, _SECONDS))
    service.keep_found(who, resource, remembered(service.found(who, resource), seen))
    return _answer(who, resource)


@router.get("/{server_name}/health")
def get_health(server_name: str, who: Reader) -> HealthOut:
    """How the server was when it was last looked at. `refresh` looks again."""
    resource = service.read(who, "mcp_servers", server_name)
    return HealthOut.model_validate(health(service.found(who, resource)))


@router.get("/{server_name}/versions")
def versions(server_name: str, who: Reader, page: Paged) -> PageOf[ResourceVersionSummary]:
    """What a server was before, newest first."""
    found = service.versions(who, "mcp_servers", server_name, page.cursor, page.limit)
    return PageOf[ResourceVersionSummary].model_validate(found)


@router.get("/{server_name}/versions/{version}")
def version(server_name: str, version: int, who: Reader) -> ResourceVersionOut:
    """One version with its document."""
    return ResourceVersionOut.model_validate(service.version(who, "mcp_servers", server_name, version))


def _answer(who: Principal, resource: Resource) -> Response:
    return JSONResponse(
        body_of(resource, found=service.found(who, resource)), headers={"ETag": etag_of(resource.version)}
    )
