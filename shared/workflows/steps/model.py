"""A workflow written as steps: its exact shape.

A step is a node of the document, under the same id. Its `type` is one of the words below or any node type's own name;
the fields of a word stand for fields of the node's `config` and for its inputs (`FORMS`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError

from shared.workflows.model import MAX_CONNECTIONS, MAX_NODES, Document, Id, Node, Port

RAW: Final = "$raw"  # {"$raw": value}: the value as the document has it, in which nothing is a reference
OWN: Final = "node:"  # before a type's name: the node type of that name, though it is a word of steps, too
MAX_NESTING: Final = 12  # levels of lists within lists

Where = tuple[str, str]  # ("config" or "inputs", the field's or port's name)


@dataclass(frozen=True, slots=True)
class Form:
    """A word for a step: the node type that it stands for, and where its fields go."""

    node: str
    fields: Mapping[str, Where] = field(default_factory=dict)


def _config(*names: str) -> dict[str, Where]:
    return {name: ("config", name) for name in names}


FORMS: Final[Mapping[str, Form]] = {
    "prompt": Form(
        "llm_chat",
        {
            "prompt": ("inputs", "messages"),
            "output_schema": ("config", "response_schema"),
            "prompt_name": ("config", "prompt"),
            **_config("prompt_version", "variables", "system", "model", "credential", "temperature", "max_tokens"),
        },
    ),
    "agent": Form(
        "agent",
        {
            "input": ("inputs", "input"),
            "thread_id": ("inputs", "thread_id"),
            **_config("agent", "model", "instructions", "tools", "mcp_servers", "output_schema"),
        },
    ),
    "tool": Form("function_call", {"tool": ("inputs", "name"), "args": ("inputs", "args")}),
    "parallel": Form("merge", _config("mode")),
    "conditional": Form("condition", _config("condition")),
    "loop": Form(
        "loop",
        {"over": ("inputs", "items"), **_config("max_concurrency", "on_item_error", "result")},
    ),
    "human_in_the_loop": Form(
        "human_in_the_loop",
        {"input": ("inputs", "input"), **_config("title", "instructions", "form", "assignees", "on_timeout")},
    ),
}
# A loop with `while`, and a tool of an MCP server (`server:tool`), are other nodes under the same word.
WHILE: Final = Form(
    "while_loop",
    {"while": ("config", "condition"), "initial": ("inputs", "initial"), **_config("max_iterations", "result")},
)
MCP_TOOL: Final = Form("mcp_tool", {"args": ("inputs", "args")})
SUGAR: Final = tuple(dict.fromkeys(f for form in (*FORMS.values(), WHILE, MCP_TOOL) for f in form.fields))
# What hangs on a step: it stays when the step is replaced by one that does not name it.
HANGING: Final = ("steps", "branches", "then", "else", "next")


def _kind(value: Any) -> str:
    return type(value).__name__


Id_ = Annotated[Id, Tag("str")]
Some = Annotated[Annotated[list["WrittenStep"], Tag("list")] | Id_, Discriminator(_kind)]
# A step's id or, where it is to lead to another port than it would, `id.port`.
Target = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,99}(\..{1,100})?$")]
Targets = Annotated[list[Target], Field(max_length=MAX_CONNECTIONS)]
Target_ = Annotated[Target, Tag("str")]
Targets_ = Annotated[Targets, Tag("list")]
OnPort = Annotated[Target_ | Targets_, Discriminator(_kind)]
Next = Annotated[Target_ | Targets_ | Annotated[dict[Port, OnPort], Tag("dict")], Discriminator(_kind)]
Branches = Annotated[
    Annotated[list[list["WrittenStep"]], Tag("list")] | Annotated[dict[Port, list["WrittenStep"]], Tag("dict")],
    Discriminator(_kind),
]


class WrittenStep(Node):
    """One step: a node, with some of its config and inputs under the words of its type.

    Texts may hold `${user_input}`, `${steps.ID.output}` and `${context.KEY}`, each with a path behind it, and
    `${{ expression }}`. `next` says what follows, where the order of the list does not.
    """

    id: Id | None = Field(default=None, description="Given when absent.")  # type: ignore[assignment]

    prompt: Any = Field(default=None, description="prompt: what the model is asked.")
    prompt_name: Any = Field(default=None, description="prompt: one of the tenant's prompts, by name.")
    prompt_version: Any = Field(default=None, description="prompt: which version of it; absent: the newest.")
    variables: Any = Field(default=None, description="prompt: values for the variables of the named prompt.")
    system: Any = Field(default=None, description="prompt: what the model is told first.")
    model: Any = Field(default=None, description="prompt, agent: the model's name.")
    credential: Any = Field(default=None, description="prompt: one of the tenant's credentials.")
    temperature: Any = Field(default=None, description="prompt.")
    max_tokens: Any = Field(default=None, description="prompt.")
    output_schema: Any = Field(default=None, description="prompt, agent: JSON Schema of the output.")
    agent: Any = Field(default=None, description="agent: one of the tenant's agents, by name.")
    input: Any = Field(default=None, description="agent, human_in_the_loop: without one, what the step before gave.")
    thread_id: Any = Field(default=None, description="agent: its thread; null is none. Absent: one of its own.")
    instructions: Any = Field(default=None, description="agent, human_in_the_loop.")
    tools: Any = Field(default=None, description="agent: names of tools.")
    mcp_servers: Any = Field(default=None, description="agent: names of MCP servers.")
    tool: Any = Field(default=None, description="tool: its name, or `server:tool`.")
    args: Any = Field(default=None, description="tool: its arguments.")
    mode: Any = Field(default=None, description="parallel: `array`, `object` or `first`.")
    condition: Any = Field(default=None, description="conditional: an expression.")
    over: Any = Field(default=None, description="loop: the list.")
    max_concurrency: Any = Field(default=None, description="loop.")
    on_item_error: Any = Field(default=None, description="loop.")
    result: Any = Field(default=None, description="loop: an expression, what a pass gives.")
    while_: Any = Field(default=None, alias="while", description="loop: an expression, as long as it holds.")
    initial: Any = Field(default=None, description="loop with while: the first state.")
    max_iterations: Any = Field(default=None, description="loop with while.")
    title: Any = Field(default=None, description="human_in_the_loop.")
    form: Any = Field(default=None, description="human_in_the_loop: JSON Schema of the answer.")
    assignees: Any = Field(default=None, description="human_in_the_loop.")
    on_timeout: Any = Field(default=None, description="human_in_the_loop.")

    steps: list[WrittenStep] | None = Field(default=None, description="loop, and other containers: the body.")
    branches: Branches | None = Field(default=None, description="parallel: lists; other types: a list for each port.")
    then: Some | None = Field(default=None, description="conditional: steps, or the id of one.")
    else_: Some | None = Field(default=None, alias="else", description="conditional: steps, or the id of one.")
    next: Next | None = Field(default=None, description="What follows: ids, or ids by output port.")


class Written(Document):
    """A workflow as nodes and connections, or as steps.

    With `connections` beside the steps, these are all there are, and the order of the steps connects nothing.
    `output` false: no output node is added for what the last step gives. `connection_ids` gives connections other ids
    than their own, and their order.
    """

    steps: tuple[WrittenStep, ...] | None = Field(default=None, max_length=MAX_NODES)
    entry_step: Id | None = None
    output: bool = True
    connection_ids: dict[Id, Id] = Field(default_factory=dict, max_length=MAX_CONNECTIONS)

    @model_validator(mode="before")
    @classmethod
    def _no_connections(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("steps") is not None and value.get("connections", ()) is None:
            return {name: each for name, each in value.items() if name != "connections"}
        return value

    @model_validator(mode="after")
    def _one_notation(self) -> Written:
        given = self.model_fields_set
        if self.steps is not None and "nodes" in given:
            raise PydanticCustomError("two_notations", "send nodes and connections, or steps: not both")
        alone = [name for name in ("entry_step", "connection_ids", "output") if name in given and self.steps is None]
        if alone:
            raise PydanticCustomError("no_steps", "{field} goes with steps", {"field": alone[0]})
        return self
