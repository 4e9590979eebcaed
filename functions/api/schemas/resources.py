"""Named things: tools, MCP servers, agents. Their documents are in `shared.resources.documents`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from functions.api.deps import Made, etag_of
from functions.api.schemas.base import Answer, TimeOut
from functions.api.schemas.pages import PageOf
from shared.clock import iso
from shared.resources.documents import Agent, BuiltinTool, HttpTool, McpServer, McpTool, Model, WorkflowTool
from shared.resources.model import Resource, ResourceSummary


class Kept(Answer):
    """What is known of a thing beside its document. `version` counts its changes and is its ETag."""

    version: int
    created_at: TimeOut
    updated_at: TimeOut
    updated_by: str


class AgentOut(Kept, Agent):
    """An agent."""


class HttpToolOut(Kept, HttpTool):
    """A tool that is a request."""


class WorkflowToolOut(Kept, WorkflowTool):
    """A tool that is a workflow."""


class McpToolOut(Kept, McpTool):
    """A tool of an MCP server."""


class BuiltinToolOut(Kept, BuiltinTool):
    """A tool that comes with Statewright."""


ToolOut = Annotated[HttpToolOut | WorkflowToolOut | McpToolOut | BuiltinToolOut, Field(discriminator="kind")]


class FoundOut(Answer):
    """What an MCP server answered when it was last asked: whether it did, what it is, what it has."""

    at: str
    ok: bool
    error: str | None
    message: str | None
    server: dict[str, Any] | None
    tools: list[dict[str, Any]]
    resources: list[dict[str, Any]]
    prompts: list[dict[str, Any]]


class McpServerOut(Kept, McpServer):
    """An MCP server. `found` is null until it has been asked, and after each change."""

    found: FoundOut | None


class SummaryOut(Kept):
    """A named thing in a list."""

    name: str
    description: str


class ToolSummary(SummaryOut):
    """A tool in a list."""

    kind: Literal["http", "workflow", "mcp", "builtin"]
    ask_a_person: bool


class BuiltinOut(Answer):
    """A tool that comes with Statewright."""

    name: str
    description: str
    input_schema: dict[str, Any]


class PaletteOut(PageOf[ToolSummary]):
    """Tools to be put into a workflow."""

    builtin: list[BuiltinOut]


class McpServerSummary(SummaryOut):
    """An MCP server in a list."""

    transport: Literal["streamable_http", "sse", "stdio"]
    url: str | None
    command: str | None


class AgentSummary(SummaryOut):
    """An agent in a list."""

    model: Model


class VersionSummary(Answer):
    """A version, without its document."""

    version: int
    updated_at: TimeOut
    updated_by: str


class VersionOut(VersionSummary):
    """A version with its document."""

    document: dict[str, Any]


def body_of(resource: Resource, **more: Any) -> dict[str, Any]:
    """A thing as answers show it: its document, and what is known beside."""
    return {**resource.document, **_kept(resource), **more}


def made(resource: Resource, path: str, **more: Any) -> Made:
    """The answer that a thing was made."""
    headers = {"ETag": etag_of(resource.version), "Location": f"/api/v1/{path}/{resource.name}"}
    return Made(201, body_of(resource, **more), headers)


def summary_of(resource: ResourceSummary) -> dict[str, Any]:
    """A thing as lists show it."""
    return {"name": resource.name, **resource.shown, **_kept(resource)}


def _kept(resource: ResourceSummary) -> dict[str, Any]:
    times = {name: iso(getattr(resource, name)) for name in ("created_at", "updated_at")}
    return {"version": resource.version, **times, "updated_by": resource.updated_by}
