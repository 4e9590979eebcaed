"""Named things: tools, MCP servers, agents. Their documents are in `shared.resources.documents`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from functions.api.deps import Made, etag_of
from functions.api.schemas.base import Answer, TimeOut
from shared.clock import iso
from shared.resources.documents import Agent, BuiltinTool, HttpTool, McpServer, McpTool, Model, Prompt, WorkflowTool
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


class FailureOut(Answer):
    """Why an MCP server did not answer, and when that was."""

    at: str
    error: str
    message: str


class ToolChanges(Answer):
    """Names of tools that are new, gone, or other than when the server last answered."""

    added: list[str]
    removed: list[str]
    changed: list[str]


class HealthOut(Answer):
    """How an MCP server was when it was last looked at. `failures` in a row; `last_error` may be over."""

    status: Literal["unknown", "healthy", "failing"]
    checked_at: str | None
    latency_ms: int | None
    last_ok_at: str | None
    last_error: FailureOut | None
    tools_count: int | None
    failures: int


class FoundOut(Answer):
    """What an MCP server answered when it was last asked: whether it did, what it is, what it has.

    Of one that did not, what it had when it last did. `changes` since the answer before, if there was one.
    """

    at: str
    latency_ms: int
    ok: bool
    error: str | None
    message: str | None
    server: dict[str, Any] | None
    tools: list[dict[str, Any]]
    resources: list[dict[str, Any]]
    prompts: list[dict[str, Any]]
    last_ok_at: str | None
    last_error: FailureOut | None
    failures: int
    changes: ToolChanges | None


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


class PaletteTool(Answer):
    """A tool to be put into a workflow. `source`: built in, a tool of the tenant's, a published workflow that is marked
    as a tool (for a `sub_workflow` node, or a tool of the kind `workflow`), or a tool of one of their MCP servers.

    `server` and `tool` are what an `mcp_tool` node takes; `health` is the server's. `input_schema` is null where nobody
    knows it.
    """

    name: str
    kind: Literal["builtin", "http", "workflow", "mcp"]
    source: Literal["builtin", "tool", "mcp_server", "workflow"]
    description: str
    input_schema: dict[str, Any] | None
    ask_a_person: bool
    server: str | None
    tool: str | None
    workflow_id: str | None
    health: Literal["unknown", "healthy", "failing"] | None


class McpServerSummary(SummaryOut):
    """An MCP server in a list."""

    transport: Literal["streamable_http", "sse", "stdio"]
    url: str | None
    command: str | None


class AgentSummary(SummaryOut):
    """An agent in a list."""

    model: Model


class ToolName(Answer):
    """A tool of an MCP server."""

    name: str
    description: str


class PaletteMcp(McpServerSummary):
    """An MCP server to be put into a workflow, with the tools that it had when it was last looked at."""

    allowed_tools: list[str] | None
    health: HealthOut
    tools: list[ToolName]


class PaletteAgent(AgentSummary):
    """An agent to be put into a workflow."""

    tools: list[str]
    mcp_servers: list[str]
    remembers: bool


class PromptOut(Kept, Prompt):
    """A prompt."""


class PromptSummary(SummaryOut):
    """A prompt in a list."""

    model: str | None


class ResourceVersionSummary(Answer):
    """A version, without its document."""

    version: int
    updated_at: TimeOut
    updated_by: str


class ResourceVersionOut(ResourceVersionSummary):
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
