"""Every node is of a type there is."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from shared.nodes.registry import names
from stepfunctions.compiler.diagnostics import Diagnostic, node_error
from stepfunctions.compiler.graph import Graph


def known_types(graph: Graph) -> Iterator[Diagnostic]:
    """Unknown node types, with the name that was probably meant."""
    for node in graph.nodes.values():
        if node.id not in graph.types:
            near = difflib.get_close_matches(node.type, names(), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield node_error("unknown_type", node.id, f"there is no node type {node.type!r}{hint}", "type")
