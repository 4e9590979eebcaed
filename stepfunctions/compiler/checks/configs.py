"""Every config fits its type's schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from shared.nodes.base import NodeType
from stepfunctions.compiler.diagnostics import Diagnostic, node_error
from stepfunctions.compiler.graph import Graph


def configs(graph: Graph) -> Iterator[Diagnostic]:
    """What does not match `config_schema`, and what the type itself finds wrong."""
    for node_id, node_type in graph.types.items():
        config = graph.nodes[node_id].config
        found = False
        for error in sorted(_validator(node_type.type).iter_errors(config), key=lambda e: list(map(str, e.path))):
            found = True
            where = ".".join(("config", *map(str, error.absolute_path)))
            yield node_error("invalid_config", node_id, f"{where}: {error.message[:500]}", where)
        if not found:
            for problem in node_type.check_config(config):
                yield node_error(problem.code, node_id, problem.message, problem.path or "config")


@cache
def _validator(type_name: str) -> Any:
    """A validator of the type's schema in which a templated field may also hold a template."""
    from jsonschema import Draft202012Validator  # heavy; only publishing and validating come here

    from shared.nodes.registry import get

    return Draft202012Validator(_with_templates(get(type_name)))


def _with_templates(node_type: NodeType) -> dict[str, Any]:
    def relaxed(schema: Any) -> Any:
        if not isinstance(schema, Mapping):
            return schema
        inner = {k: _relax_below(k, v, relaxed) for k, v in schema.items()}
        if schema.get("x-template"):
            return {"anyOf": [inner, {"type": "string", "pattern": r"\{\{"}]}
        return inner

    result: dict[str, Any] = relaxed(node_type.config_schema)
    return result


def _relax_below(keyword: str, value: Any, relaxed: Any) -> Any:
    if keyword == "properties" and isinstance(value, Mapping):
        return {name: relaxed(schema) for name, schema in value.items()}
    if keyword in ("items", "additionalProperties"):
        return relaxed(value)
    if keyword in ("anyOf", "oneOf", "allOf") and isinstance(value, list):
        return [relaxed(v) for v in value]
    return value
