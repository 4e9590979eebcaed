"""No attempt takes longer than a call of a function can."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shared.nodes.base import Composite, Effect
from stepfunctions.compiler.diagnostics import Diagnostic, node_error
from stepfunctions.compiler.graph import Graph

# A Lambda function lives 900 seconds (AWS Lambda quotas); some of it goes before and after the node.
MAX_SECONDS: Final = 840


def timeouts(graph: Graph) -> Iterator[Diagnostic]:
    """Nodes that run in a function and ask for more time than it has."""
    for node_id, node_type in graph.types.items():
        seconds = graph.nodes[node_id].timeout_seconds
        if isinstance(node_type, (Effect, Composite)) and seconds is not None and seconds > MAX_SECONDS:
            message = f"one attempt takes at most {MAX_SECONDS} seconds, not {seconds:g}"
            yield node_error("timeout_too_long", node_id, message, "timeout_seconds")
