"""The palette: agents, MCP servers and tools to be put into a workflow. `q` is looked for in names and texts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from functions.api.deps import Paged, require
from functions.api.schemas.pages import PageOf
from functions.api.schemas.resources import PaletteAgent, PaletteMcp, PaletteTool, summary_of
from shared.resources.model import NAME
from shared.tenancy import Principal
from shared.tools import palette

router = APIRouter(prefix="/workflows/resources", tags=["resources"])
Reader = Annotated[Principal, require("viewer", "workflows:read")]
Word = Annotated[str, Query(max_length=200)]


@router.get("/agents")
def agents(who: Reader, page: Paged, q: Word = "") -> PageOf[PaletteAgent]:
    """The tenant's agents, by name."""
    found = palette.agents(who, page.cursor, page.limit, q)
    items = [
        PaletteAgent.model_validate(
            {
                **summary_of(each["resource"]),
                **{name: each["document"].get(name) or [] for name in ("tools", "mcp_servers")},
                "remembers": bool((each["document"].get("memory") or {}).get("enabled")),
            }
        )
        for each in found.items
    ]
    return PageOf[PaletteAgent](items=items, next_cursor=found.next_cursor)


@router.get("/mcps")
def mcps(who: Reader, page: Paged, q: Word = "") -> PageOf[PaletteMcp]:
    """The tenant's MCP servers, by name, with their health and the tools that they had when they last answered."""
    found = palette.mcp_servers(who, page.cursor, page.limit, q)
    items = [
        PaletteMcp.model_validate(
            {
                **summary_of(each["resource"]),
                "allowed_tools": each["document"].get("allowed_tools"),
                "health": each["health"],
                "tools": each["tools"],
            }
        )
        for each in found.items
    ]
    return PageOf[PaletteMcp](items=items, next_cursor=found.next_cursor)


@router.get("/tools")
def tools(
    who: Reader,
    page: Paged,
    q: Word = "",
    kind: Annotated[palette.ToolKind | None, Query()] = None,
    server: Annotated[str | None, Query(pattern=NAME)] = None,
) -> PageOf[PaletteTool]:
    """Every tool there is: those that come with Statewright, the tenant's, and those of their MCP servers (`server`:
    of that one only), which have the names that agents get them by.
    """
    found = palette.tools(who, page.cursor, page.limit, q, kind, server)
    items = [PaletteTool.model_validate(each) for each in found.items]
    return PageOf[PaletteTool](items=items, next_cursor=found.next_cursor)
