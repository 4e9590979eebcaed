"""The MCP server."""

from __future__ import annotations

from typing import Any

from functions.api.schemas.base import Answer


class AsToolOut(Answer):
    """A workflow that is marked as a tool. `taken_by` says who has its name instead (a workflow, or the server itself);
    then no call reaches it.
    """

    name: str
    workflow_id: str
    version: int
    description: str
    input_schema: dict[str, Any]
    taken_by: str | None


class McpToolsOut(Answer):
    """All of them, by name, in one page."""

    items: list[AsToolOut]
    next_cursor: None = None
