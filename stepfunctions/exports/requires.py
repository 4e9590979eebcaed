"""What a document needs of the tenant that runs it: named things, of which it holds the names only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

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

Kind = Literal["agents", "collections", "graphs", "mcp_servers", "tools", "workflows"]
# Config fields that name something, by the types that have them; a field of any type stands under "".
_FIELDS: Final[Mapping[tuple[str, str], Kind]] = {
    ("", "agent"): "agents",
    ("", "tools"): "tools",
    ("", "mcp_servers"): "mcp_servers",
    ("", "server"): "mcp_servers",
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
    "tools": "tool",
    "workflows": "workflow",
}


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a node names. `path` is within the document: `nodes.ask.config.agent`."""

    kind: Kind
    name: str
    node_id: str
    path: str


def requires(document: Document) -> dict[str, Any]:
    """`{node_types, credentials: [{name, kinds}], agents, collections, graphs, mcp_servers, tools, workflows}`: names.

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
    for kind in ("agents", "collections", "graphs", "mcp_servers", "tools", "workflows"):
        found[kind] = sorted({need.name for need in every if need.kind == kind})
    return found


def needs(document: Document) -> Iterator[Need]:
    """Every named thing but credentials, node by node. What comes with Statewright is no need."""
    for node in document.nodes:
        if node.disabled:
            continue
        for path, kind, name in _named_by(node):
            builtin = kind == "tools" and name in BUILTINS
            if isinstance(name, str) and 0 < len(name) <= _LONGEST and not is_template(name) and not builtin:
                yield Need(kind, name, node.id, f"nodes.{node.id}.{path}")


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
    lacking: dict[tuple[Kind, str], bool] = {}
    for need in needs(document):
        thing = (need.kind, need.name)
        if thing not in lacking:
            lacking[thing] = not _there(tenant, need.kind, need.name, document)
        if lacking[thing]:
            word = _ONE[need.kind]
            code, message = f"unknown_{word.lower().replace(' ', '_')}", f"there is no {word} {need.name[:100]}"
            found.append(Diagnostic(code, message, need.node_id, need.path, "warning"))
    return found


def _there(tenant: Tenant, kind: Kind, name: str, document: Document) -> bool:
    table = TenantTable(tenant)
    try:
        if kind == "workflows":
            return name == document.id or bool(WorkflowStore(table).get(name))
        if kind == "collections":
            return bool(CollectionStore(table).get(name))
        return kind == "graphs" or bool(ResourceStore(table).get(kind, name))  # a graph is there once written to
    except NotFound:
        return False
