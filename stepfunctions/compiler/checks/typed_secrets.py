"""No secret is typed into a config, where everybody who may read the workflow reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.expressions.template import is_template
from stepfunctions.compiler.diagnostics import Diagnostic
from stepfunctions.compiler.graph import Graph


def typed_secrets(graph: Graph) -> Iterator[Diagnostic]:
    """Fields marked `x-secret` that hold a text of their own."""
    for node_id, node_type in graph.types.items():
        config = graph.nodes[node_id].config
        for path in _typed("config", config, node_type.schema_for(config)):
            message = f"{path}: credentials are never config: name one, or read a secret, {{{{ secrets.<name> }}}}"
            yield Diagnostic("typed_secret", message, node_id, f"nodes.{node_id}.{path}", "warning")


def _typed(path: str, value: Any, schema: Any) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        return
    if schema.get("x-secret"):
        if isinstance(value, str) and value and not is_template(value):
            yield path
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _typed(f"{path}.{name}", each, schema.get("properties", {}).get(name))
