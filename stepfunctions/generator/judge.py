"""Whether what a model answered can be taken: its form, the compiler's checks, the names, no secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from shared.collections.store import CollectionStore
from shared.credentials.kinds import KINDS
from shared.errors import Invalid, NotFound
from shared.expressions.template import is_template
from shared.resources.documents import Agent
from shared.resources.model import Kind
from shared.resources.store import ResourceStore
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.tools.builtin import BUILTINS
from shared.workflows.model import Document, Node
from shared.workflows.service import document_of
from shared.workflows.store import WorkflowStore
from shared.workflows.typed_secrets import secret_texts
from stepfunctions.compiler.compile import check
from stepfunctions.compiler.diagnostics import Diagnostic, node_error
from stepfunctions.compiler.graph import Graph
from stepfunctions.generator import answer as form
from stepfunctions.generator.apply import MAX_AGENTS
from stepfunctions.named_credentials import credential_problems

Json = dict[str, Any]

# Config fields of each type that name something: (field, kind of thing).
_NAMES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    **dict.fromkeys(("llm_chat", "openai_chat", "anthropic_chat", "bedrock_chat"), (("prompt", "prompts"),)),
    "agent": (("agent", "agents"), ("tools", "tools"), ("mcp_servers", "mcp_servers")),
    "tool_router": (("tools", "tools"), ("mcp_servers", "mcp_servers")),
    "mcp_server": (("server", "mcp_servers"),),
    "mcp_tool": (("server", "mcp_servers"),),
    "mcp_resource": (("server", "mcp_servers"),),
    "mcp_prompt": (("server", "mcp_servers"),),
    "retriever": (("collection", "collections"),),
    "vector_store": (("collection", "collections"),),
    "sub_workflow": (("workflow_id", "workflows"),),
}
_RESOURCES: Final[Mapping[str, Kind]] = {
    "agents": "agents",
    "tools": "tools",
    "mcp_servers": "mcp_servers",
    "prompts": "prompts",
}
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
# Headers and shapes of texts that carry secrets; a check against accidents.


@dataclass(frozen=True, slots=True)
class Judged:
    """What an answer comes to. `agents` are documents of the agents to make; `used` are names by kind.

    With errors among the `problems` it is not taken; `document` is None where there is not even a form.
    """

    document: Document | None
    agents: tuple[Agent, ...]
    used: Mapping[str, tuple[str, ...]]
    problems: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        """Whether it can be taken."""
        return self.document is not None and not any(p.severity == "error" for p in self.problems)


def judge(tenant: Tenant, said: Mapping[str, Any], model: Mapping[str, Any], base: Mapping[str, Any] | None) -> Judged:
    """Judge an answer that fits the schema and is no `cannot`. `model` is what new agents think with.

    Raises Unavailable.
    """
    if said["workflow"] is None or not said["workflow"]["nodes"]:
        nothing = Diagnostic("empty", "there is no workflow in it, and no reason why there cannot be one")
        return Judged(None, (), {}, (nothing,))
    raw, problems = form.document_of(said["workflow"], base)
    known = _Known(tenant)
    if len(said["agents_to_create"]) > MAX_AGENTS:
        too_many = f"at most {MAX_AGENTS} agents can be made at once"
        problems.append(Diagnostic("too_many", too_many, None, "agents_to_create"))
    agents = tuple(_agents(said["agents_to_create"], model, known, problems))
    try:
        document = document_of(raw)
    except Invalid as error:
        found = [Diagnostic(p.code, p.message, None, p.path) for p in error.errors]
        return Judged(None, agents, {}, (*problems, *found))
    made = frozenset(a.name for a in agents)
    wanted = {c["name"] for c in said["credentials_needed"] if c["kind"] in KINDS}
    same = {n["id"] for n in base["nodes"]} if base is not None else set()
    unchanged = {n.id for n in document.nodes if base is not None and n.id in same and _unchanged(n, base)}
    named = list(_named(document))
    problems += [_strict(d) for d in check(document)]
    problems += [_credential(d, wanted) for d in credential_problems(tenant, document)]
    problems += [p for n in document.nodes if n.id not in unchanged for p in _secrets(n)]
    problems += _secret_reads(document, unchanged)
    problems += _secret_variables(document, base)
    problems += [p for node, kind, name in named for p in _unknown(node, kind, name, made, known)]
    problems += [p for n in document.nodes for p in _unknown_mcp_tool(n, known)]
    problems += [p for n in document.nodes for p in _unknown_version(n, known)]
    idle = made - {name for _, kind, name in named if kind == "agents"}
    problems += [Diagnostic("unused_agent", f"no node uses the new agent {name}") for name in sorted(idle)]
    named += [(None, "tools", t) for a in agents for t in a.tools]
    named += [(None, "mcp_servers", s) for a in agents for s in a.mcp_servers]
    kinds = ("agents", "tools", "mcp_servers", "prompts", "collections", "workflows")
    used = {k: tuple(sorted({name for _, kind, name in named if kind == k} - made)) for k in kinds}
    return Judged(document, agents, used, tuple(problems))


class _Known:
    """Whether the tenant has a thing; asked once for each."""

    def __init__(self, tenant: Tenant) -> None:
        self._table = TenantTable(tenant)
        self._seen: dict[tuple[str, str], bool] = {}

    def has(self, kind: str, name: str) -> bool:
        """Whether there is one of that name."""
        at = (kind, name)
        if at not in self._seen:
            self._seen[at] = (kind == "tools" and name in BUILTINS) or self._stored(kind, name)
        return self._seen[at]

    def tools_of(self, server: str) -> set[str] | None:
        """The tools that the server had when it was last looked at; None: not known."""
        store = ResourceStore(self._table)
        try:
            found = store.found(store.get("mcp_servers", server))
        except NotFound:
            return None
        return {t["name"] for t in found["tools"]} if found is not None and found["tools"] else None

    def newest(self, prompt: str) -> int | None:
        """The prompt's newest version; None: there is no such prompt."""
        return ResourceStore(self._table).get("prompts", prompt).version if self.has("prompts", prompt) else None

    def _stored(self, kind: str, name: str) -> bool:
        if not _NAME.fullmatch(name):
            return False
        try:
            if kind == "collections":
                CollectionStore(self._table).get(name)
            elif kind == "workflows":
                WorkflowStore(self._table).get(name)
            else:
                ResourceStore(self._table).get(_RESOURCES[kind], name)
        except NotFound:
            return False
        return True


def _agents(said: list[Json], model: Mapping[str, Any], known: _Known, problems: list[Diagnostic]) -> Iterator[Agent]:
    taken: set[str] = set()
    for at, each in enumerate(said):
        path = f"agents_to_create.{at}"
        try:
            agent = Agent.model_validate({**each, "model": dict(model)})
        except ValidationError as error:
            problems += [
                Diagnostic(str(e["type"]), str(e["msg"]), None, ".".join([path, *map(str, e["loc"])])[:200])
                for e in error.errors()[:10]
            ]
            continue
        if agent.name in taken or known.has("agents", agent.name):
            message = f"there is an agent {agent.name} already: use it, or give the new one another name"
            problems.append(Diagnostic("name_taken", message, None, f"{path}.name"))
        for field, names in (("tools", agent.tools), ("mcp_servers", agent.mcp_servers)):
            problems += [
                Diagnostic(f"unknown_{field[:-1]}", _missing(field, name), None, f"{path}.{field}")
                for name in names
                if not known.has(field, name)
            ]
        if any(secret_texts(agent.instructions)):
            message = "instructions carry no secrets; name a credential where one is needed"
            problems.append(Diagnostic("typed_secret", message, None, f"{path}.instructions"))
        taken.add(agent.name)
        yield agent


def _named(document: Document) -> Iterator[tuple[Node | None, str, str]]:
    for node in document.nodes:
        for field, kind in _NAMES.get(node.type, ()):
            value = node.config.get(field)
            for name in value if isinstance(value, list) else [value]:
                if isinstance(name, str) and name and not is_template(name):
                    yield node, kind, name
        name = node.inputs.get("name")
        if node.type == "function_call" and isinstance(name, str) and name and not is_template(name):
            yield node, "tools", name


def _unknown(node: Node | None, kind: str, name: str, made: frozenset[str], known: _Known) -> Iterator[Diagnostic]:
    there = (kind == "agents" and name in made) or known.has(kind, name)
    if node is not None and not there:
        yield node_error(f"unknown_{kind.removesuffix('s')}", node.id, _missing(kind, name), "config")


def _missing(kind: str, name: str) -> str:
    return f"the tenant has no {kind.removesuffix('s').replace('_', ' ')} {name[:100]}"


def _unknown_mcp_tool(node: Node, known: _Known) -> Iterator[Diagnostic]:
    server, tool = node.config.get("server"), node.config.get("tool")
    if node.type != "mcp_tool" or not isinstance(server, str) or not isinstance(tool, str) or is_template(tool):
        return
    listed = known.tools_of(server)
    if listed is not None and tool not in listed:
        there = ", ".join(sorted(listed))[:500]
        yield node_error(
            "unknown_mcp_tool", node.id, f"{server} has no tool {tool[:100]}; it has {there}", "config.tool"
        )


def _unknown_version(node: Node, known: _Known) -> Iterator[Diagnostic]:
    prompt, version = node.config.get("prompt"), node.config.get("prompt_version")
    if ("prompt", "prompts") not in _NAMES.get(node.type, ()):
        return
    if not isinstance(prompt, str) or not isinstance(version, int):
        return
    newest = known.newest(prompt)
    if newest is not None and version > newest:
        message = f"the prompt {prompt[:100]} has no version {version}; name none, for the newest"
        yield node_error("unknown_version", node.id, message, "config.prompt_version")


def _strict(found: Diagnostic) -> Diagnostic:
    """Secrets that are typed in are no mere warning here."""
    if found.code != "typed_secret":
        return found
    return Diagnostic(found.code, found.message, found.node_id, found.path)


def _credential(found: Diagnostic, wanted: set[str]) -> Diagnostic:
    """A credential that is to be made first stays a warning."""
    if found.code == "unknown_credential" and any(found.message.endswith(f" {name}") for name in wanted):
        return found
    message = f"{found.message}; name one that is there, or list it in credentials_needed with its kind"
    return Diagnostic(found.code, message, found.node_id, found.path)


def _secrets(node: Node) -> Iterator[Diagnostic]:
    for path in secret_texts({"config": node.config, "inputs": node.inputs}):
        message = f"{path}: a secret is never written into a workflow; name a credential"
        yield node_error("typed_secret", node.id, message, path)


def _secret_variables(document: Document, base: Mapping[str, Any] | None) -> Iterator[Diagnostic]:
    before = base["variables"] if base is not None else {}
    for path in secret_texts({n: v for n, v in document.variables.items() if before.get(n) != v}, "variables"):
        yield Diagnostic("typed_secret", f"{path}: a variable holds no secret; name a credential", None, path)


def _secret_reads(document: Document, unchanged: set[str]) -> Iterator[Diagnostic]:
    for node_id, names in Graph(document).names.items():
        if node_id not in unchanged and any(path[0] == "secrets" for path in names):
            message = "what is generated reads no secrets; name a credential, or let a person add the expression"
            yield node_error("secret_read", node_id, message)


def _unchanged(node: Node, base: Mapping[str, Any]) -> bool:
    before = next(n for n in base["nodes"] if n["id"] == node.id)
    return (before["type"], before["config"], before["inputs"]) == (node.type, node.config, node.inputs)
