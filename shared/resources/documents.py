"""What tools, MCP servers and agents are made of. Strict: unknown fields are refused, and `"5"` is not 5.

No document holds a secret: `credential` names one of the tenant's credentials.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.expressions.jsonata import syntax_problem
from shared.expressions.template import TemplateError, expressions
from shared.resources.model import NAME, Kind

Name = Annotated[str, StringConstraints(pattern=NAME)]
Description = Annotated[str, StringConstraints(max_length=2_000, pattern=r"^[^\x00]*$")]
Url = Annotated[str, StringConstraints(max_length=2_000, pattern=r"^https?://[^\s\x00-\x1f\x7f]+$")]
# Where a secret would be readable by all who read the document, and what the connection itself has to say.
_NOT_SET: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "host", "content-length", "transfer-encoding", "connection"}
)


def _settable(name: str) -> str:
    if name.lower() in _NOT_SET:
        raise ValueError(f"the header {name} cannot be set here; a secret belongs into a credential")
    return name


HeaderName = Annotated[
    str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}$"), AfterValidator(_settable)
]
HeaderValue = Annotated[str, StringConstraints(max_length=4_000, pattern=r"^[\x20-\x7e]*$")]
RemoteName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Headers = Annotated[dict[HeaderName, HeaderValue], Field(max_length=50)]


ADDED: Final = frozenset({"version", "created_at", "updated_at", "updated_by", "found"})


class Part(BaseModel):
    """Base of the documents' parts."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def _check_host(url: str) -> None:
    """Raises ValueError for a host that is not written out, or has a password before it."""
    host = url.split("://", 1)[1].replace("?", "/").replace("#", "/").split("/", 1)[0]
    if not host or any(c in host for c in "{}@\\"):
        raise ValueError("the host of the address is fixed, and holds no user name; a secret belongs into a credential")


class Named(Part):
    """What every document has. What answers add to it may be sent back; it is not looked at."""

    name: Name
    description: Description = ""

    @model_validator(mode="before")
    @classmethod
    def _without_what_answers_add(cls, value: Any) -> Any:
        return {k: v for k, v in value.items() if k not in ADDED} if isinstance(value, dict) else value


class Tool(Named):
    """What every tool has. `ask_a_person`: a person agrees before an agent's call is made."""

    input_schema: dict[str, Any] | None = Field(
        default=None, description="JSON Schema of the arguments; null: the tool's own, where it has one, else anything."
    )
    ask_a_person: bool = False


class HttpTool(Tool):
    """A request. `{argument}` in the address takes an argument's value, percent-encoded; never in the host.

    Where neither `query` nor `body` is given, the other arguments are sent: as the query of GET, HEAD and DELETE, else
    as a JSON body. Strings in `query`, `headers` and `body` may hold `{{ args.argument }}`.
    """

    kind: Literal["http"]
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] = "GET"
    url: Url
    query: dict[str, Any] | None = None
    headers: Headers = Field(default_factory=dict)
    body: Any = None
    credential: Name | None = None

    @model_validator(mode="after")
    def _address_and_templates(self) -> HttpTool:
        _check_host(self.url)
        try:
            for expression in expressions([self.query, self.headers, self.body]):
                problem = syntax_problem(expression)
                if problem is not None:
                    raise ValueError(problem)
        except TemplateError as error:
            raise ValueError(str(error)) from None
        return self


class WorkflowTool(Tool):
    """A workflow: the arguments are its trigger's data, its final output is the result."""

    kind: Literal["workflow"]
    workflow_id: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    workflow_version: int | None = Field(default=None, ge=1, le=10**6, description="null: the published one.")


class McpTool(Tool):
    """A tool of one of the tenant's MCP servers, under a name of its own."""

    kind: Literal["mcp"]
    server: Name
    tool: RemoteName


class BuiltinTool(Tool):
    """A tool that comes with Statewright, under a name of its own."""

    kind: Literal["builtin"]
    builtin: Literal["calculate", "current_time", "fetch_url", "list_files", "read_file"]


AnyTool = Annotated[HttpTool | WorkflowTool | McpTool | BuiltinTool, Field(discriminator="kind")]


class McpServer(Named):
    """An MCP server: at an address, or (`stdio`) a command that the operator allows, by its name.

    `allowed_tools` null: all that the server has.
    """

    transport: Literal["streamable_http", "sse", "stdio"] = "streamable_http"
    url: Url | None = None
    command: Name | None = None
    credential: Name | None = None
    headers: Headers = Field(default_factory=dict)
    allowed_tools: Annotated[list[RemoteName], Field(max_length=500)] | None = None

    @model_validator(mode="after")
    def _address_or_command(self) -> McpServer:
        wanted = ("command", "url") if self.transport == "stdio" else ("url", "command")
        if getattr(self, wanted[0]) is None or getattr(self, wanted[1]) is not None:
            raise ValueError(f"a server over {self.transport} has `{wanted[0]}` and no `{wanted[1]}`")
        if self.url is not None:
            _check_host(self.url)
        if self.transport == "stdio" and (self.headers or self.credential):
            raise ValueError("a server over stdio takes neither headers nor a credential")
        return self


class Model(Part):
    """Which model an agent thinks with. `parameters` are the provider's own, such as `temperature`."""

    provider: Literal["openai", "anthropic", "bedrock"] = "openai"
    model: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    credential: Name | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)


class Memory(Part):
    """Whether an agent remembers a thread, how many of its messages, and where they are kept.

    `threads` is the tenant's own memory (`/threads`), `process` this process's, for tests; the others take a credential
    of their kind.
    """

    enabled: bool = False
    max_messages: int = Field(default=50, ge=1, le=1_000)
    provider: Literal["threads", "redis", "libsql", "process"] = "threads"
    credential: Name | None = None

    @model_validator(mode="after")
    def _with_its_credential(self) -> Memory:
        if (self.provider in ("redis", "libsql")) != (self.credential is not None):
            raise ValueError("a memory in redis or libsql takes a credential of that kind; the others take none")
        return self


class Limits(Part):
    """Where an agent stops: after so many turns of the model, after so many tokens (null: no limit)."""

    max_steps: int = Field(default=10, ge=1, le=100)
    max_tokens: int | None = Field(default=None, ge=1, le=100_000_000)


class Agent(Named):
    """A model with instructions, tools and a memory. `tools` names tools, and `mcp_servers` servers, of the tenant."""

    model: Model
    instructions: Annotated[str, StringConstraints(max_length=50_000)] = ""
    tools: Annotated[list[Name], Field(max_length=128)] = Field(default_factory=list)
    mcp_servers: Annotated[list[Name], Field(max_length=20)] = Field(default_factory=list)
    memory: Memory = Memory()
    limits: Limits = Limits()


class Prompt(Named):
    """What a model is asked. `{{ variable }}` in `text` and `system` is filled in; any expression over the variables.

    `input_schema` is a JSON Schema of the variables, `output_schema` one of the answer.
    """

    text: Annotated[str, StringConstraints(min_length=1, max_length=50_000)]
    system: Annotated[str, StringConstraints(max_length=50_000)] = ""
    model: Annotated[str, StringConstraints(max_length=200)] | None = None
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _templates(self) -> Prompt:
        try:
            for expression in expressions([self.text, self.system]):
                problem = syntax_problem(expression)
                if problem is not None:
                    raise ValueError(problem)
        except TemplateError as error:
            raise ValueError(str(error)) from None
        return self


def shown(kind: Kind, document: dict[str, Any]) -> dict[str, Any]:
    """The fields of a document that lists show."""
    fields: dict[Kind, tuple[str, ...]] = {
        "tools": ("kind", "ask_a_person"),
        "mcp_servers": ("transport", "url", "command"),
        "agents": ("model",),
        "prompts": ("model",),
        "workflow_templates": ("category", "is_active", "end_action_type"),
        "workflow_steps": ("title",),
    }
    return {name: document[name] for name in ("description", *fields[kind])}
