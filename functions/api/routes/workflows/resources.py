"""The palette: the tenant's agents, MCP servers and tools, to be put into a workflow."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from functions.api.deps import Paged, require
from functions.api.schemas.pages import PageOf
from functions.api.schemas.resources import (
    AgentSummary,
    BuiltinOut,
    McpServerSummary,
    PaletteOut,
    ToolSummary,
    summary_of,
)
from shared.resources import service
from shared.tenancy import Principal
from shared.tools.builtin import BUILTINS

router = APIRouter(prefix="/workflows/resources", tags=["resources"])
Reader = Annotated[Principal, require("viewer", "workflows:read")]


@router.get("/agents")
def agents(who: Reader, page: Paged) -> PageOf[AgentSummary]:
    """The tenant's agents, by name."""
    found = service.listing(who, "agents", page.cursor, page.limit)
    items = [summary_of(r) for r in found.items]
    return PageOf[AgentSummary].model_validate({"items": items, "next_cursor": found.next_cursor})


@router.get("/mcps")
def mcps(who: Reader, page: Paged) -> PageOf[McpServerSummary]:
    """The tenant's MCP servers, by name."""
    found = service.listing(who, "mcp_servers", page.cursor, page.limit)
    items = [summary_of(r) for r in found.items]
    return PageOf[McpServerSummary].model_validate({"items": items, "next_cursor": found.next_cursor})


@router.get("/tools")
def tools(who: Reader, page: Paged) -> PaletteOut:
    """The tenant's tools, by name; and those that come with Statewright, on every page."""
    found = service.listing(who, "tools", page.cursor, page.limit)
    return PaletteOut(
        items=[ToolSummary.model_validate(summary_of(r)) for r in found.items],
        next_cursor=found.next_cursor,
        builtin=[
            BuiltinOut(name=name, description=each.description, input_schema=dict(each.input_schema))
            for name, each in BUILTINS.items()
        ],
    )
