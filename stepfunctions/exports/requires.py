"""What a document needs of the tenant that runs it: named things, of which it holds the names only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from shared.collections.store import CollectionStore
from shared.errors import NotFound
from shared.expressions.template import is_template
from shared.resources.store import ResourceStore
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.tools.builtin import BUILTINS
from shared.workflows.model import Document, Node
from shared.workflows.store import WorkflowStore
from stepfunctions.compiler.compile import check
from stepfunctions.compiler.diagnostics import Diagnostic
from stepfunctions.named_credentials import credential_problems, named

Kind = Literal["agents", "collections", "graphs", "mcp_servers", "prompts", "tools", "workflows"]
# Config fields that name something, by the types that have them; a field of any type stands under "".
_FIELDS: Final[Mapping[tuple[str, str], Kind]] = {
    ("", "agent"): "agents",
    ("", "tools"): "tools",
    ("", "mcp_servers"): "mcp_servers",
    ("", "server"): "mcp_servers",
    ("", "prompt"): "prompts",
    ("retriever", "collection"): "collections",
    ("vector_store", "collection"): "collections",
    ("graph_query", "graph"): "graphs",
    ("sub_workflow", "workflow_id"): "workflows",
}
_LONGEST: Final = 200  # nothing has a longer name
_ONE: Final[Mapping[Kind, str]] = {
    "agents": "agent",
    "collections": "collection",
    "mcp_servers": "MCP server",
    "prompts": "prompt",
    "tools": "tool",
    "workflows": "workflow",
}


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a node names, or the settings do. `path` is within the document: `nodes.ask.config.agent`.

    `version` is the one that a node takes of a prompt; None: the newest.
    """

    kind: Kind
    name: str
    node_id: str | None
    path: str
    version: int | None = None


def requires(document: Document) -> dict[str, Any]:
    """What it needs by kind: names, of credentials `{name, kinds}`; and `node_types`.

    A name that an expression gives is not known before a run, and not listed.
    """
    kinds: dict[str, set[str]] = {}
    for _, _, name, taken in named(document):
        # A credential that two nodes name has to be of a kind that both take.
        kinds[name] = kinds[name] & set(taken) or kinds[name] if name in kinds else set(taken)
    found: dict[str, Any] = {
        "node_types": sorted({node.type for node in document.nodes}),
        "credentials": [{"name": name, "kinds": sorted(kinds[name])} for name in sorted(kinds)],
    }
    every = list(needs(document))
    for kind in get_args(Kind):
        found[kind] = sorted({need.name for need in every if need.kind == kind})
    return found


def needs(document: Document) -> Iterator[Need]:
    """Every named thing but credentials, node by node, then the settings'. What comes with Statewright is no need."""
    for node in document.nodes:
        if node.disabled:
            continue
        for path, kind, name in _named_by(node):
            builtin = kind == "tools" and name in BUILTINS
            if isinstance(name, str) and 0 < len(name) <= _LONGEST and not is_template(name) and not builtin:
                version = node.config.get("prompt_version") if kind == "prompts" else None
                number = version if isinstance(version, int) else None  # what is none, the compiler tells of
                yield Need(kind, name, node.id, f"nodes.{node.id}.{path}", number)
    if document.settings.error_workflow is not None:
        yield Need("workflows", document.settings.error_workflow, None, "settings.error_workflow")


def _named_by(node: Node) -> Iterator[tuple[str, Kind, Any]]:
    for field, value in node.config.items():
        kind = _FIELDS.get((node.type, field)) or _FIELDS.get(("", field))
        if kind is None or (kind == "graphs" and node.config.get("credential")):
            continue
        if isinstance(value, list):
            yield from ((f"config.{field}.{at}", kind, each) for at, each in enumerate(value))
        else:
            yield f"config.{field}", kind, value
    if node.type == "function_call":
        yield "inputs.name", "tools", node.inputs.get("name")


def problems(tenant: Tenant, document: Document) -> list[Diagnostic]:
    """What is wrong with a draft: all that the compiler says, and a warning for each thing that the tenant lacks."""
    found = [*check(document), *credential_problems(tenant, document)]
    lacking: dict[tuple[Kind, str, int | None], bool] = {}
    for need in needs(document):
        thing = (need.kind, need.name, need.version)
        if thing not in lacking:
            lacking[thing] = not _there(tenant, need, document)
        if lacking[thing]:
            word = _ONE[need.kind]
            code, message = f"unknown_{word.lower().replace(' ', '_')}", f"there is no {word} {need.name[:100]}"
            message += "" if need.version is None else f" with a version {need.version}"
            found.append(Diagnostic(code, message, need.node_id, need.path, "warning"))
    return found


def _there(tenant: Tenant, need: Need, document: Document) -> bool:
    table, kind, name = TenantTable(tenant), need.kind, need.name
    try:
        if kind == "workflows":
            return name == document.id or bool(WorkflowStore(table).get(name))
        if kind == "collections":
            return bool(CollectionStore(table).get(name))
        if kind != "graphs":  # a graph is there once it is written to
            ResourceStore(table).find(kind, name, need.version)
    except NotFound:
        return False
    return True
