"""Whether the credentials that a document names exist and are of the kinds that its nodes take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.expressions.template import is_template
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.workflows.model import Document
from stepfunctions.compiler.diagnostics import Diagnostic
from stepfunctions.compiler.graph import Graph


def credential_problems(tenant: Tenant, document: Document) -> list[Diagnostic]:
    """A warning for each field that names no credential of the tenant's, or one of another kind.

    A warning, since a credential may be made after the workflow; publishing takes it for an error. Raises Unavailable.
    """
    named = list(_named(Graph(document)))
    if not named:
        return []
    from shared.credentials.store import CredentialStore

    store = CredentialStore(TenantTable(tenant))
    kinds = {name: store.kind_of(name) for name in dict.fromkeys(name for _, _, name, _ in named)}
    return [d for node_id, path, name, wanted in named for d in _problem(node_id, path, name, wanted, kinds[name])]


def named(document: Document) -> list[tuple[str, str, str, list[str]]]:
    """Each place that names a credential: the node, the path in it, the name, and the kinds that go."""
    return list(_named(Graph(document)))


def _problem(node_id: str, path: str, name: str, wanted: list[str], kind: str | None) -> Iterator[Diagnostic]:
    where = f"nodes.{node_id}.{path}"
    if kind is None:
        message = f"{path}: there is no credential {name[:100]}"
        yield Diagnostic("unknown_credential", message, node_id, where, "warning")
    elif kind not in wanted:
        message = f"{path}: the credential {name} is of the kind {kind}; this takes {' or '.join(wanted)}"
        yield Diagnostic("wrong_credential", message, node_id, where, "warning")


def _named(graph: Graph) -> Iterator[tuple[str, str, str, list[str]]]:
    """Node, path, the credential's name, and the kinds that go: fields that name one, and `secrets.<name>`."""
    for node_id, node_type in graph.types.items():
        node = graph.nodes[node_id]
        if node.disabled:
            continue
        for path, name, kinds in _fields("config", node.config, node_type.schema_for(node.config)):
            yield node_id, path, name, kinds
        for reference in sorted(graph.names[node_id]):
            if reference[0] == "secrets" and len(reference) > 1:
                yield node_id, _place(graph, node_id, reference), reference[1], ["secret"]


def _place(graph: Graph, node_id: str, reference: tuple[str, ...]) -> str:
    from shared.expressions.references import analyse

    return next(path for path, text in graph.expressions[node_id] if reference in analyse(text).names)


def _fields(path: str, value: Any, schema: Any) -> Iterator[tuple[str, str, list[str]]]:
    if not isinstance(schema, Mapping):
        return
    if "x-credential" in schema:
        if isinstance(value, str) and value and not is_template(value):
            yield path, value, list(schema["x-credential"])
    elif isinstance(value, Mapping):
        extra = schema.get("additionalProperties")
        for name, each in value.items():
            yield from _fields(f"{path}.{name}", each, schema.get("properties", {}).get(name, extra))
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _fields(f"{path}.{at}", each, schema.get("items"))
