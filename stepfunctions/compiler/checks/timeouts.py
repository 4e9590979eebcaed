"""No attempt takes longer than a call of a function can; what has no attempts has no time-out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shared.nodes.base import Composite, Effect, NodeType, Pure
from stepfunctions.compiler.diagnostics import Diagnostic, node_error
from stepfunctions.compiler.graph import Graph

# A Lambda function lives 900 seconds (AWS Lambda quotas); some of it goes before and after the node.
MAX_SECONDS: Final = 840


def timeouts(graph: Graph) -> Iterator[Diagnostic]:
    """Nodes that ask for more time than a function has, and time-outs that have no effect."""
    for node_id, node_type in graph.types.items():
        seconds = graph.nodes[node_id].timeout_seconds
        if seconds is None:
            continue
        if not _has_one(node_type):
            message = f"{node_type.type} nodes have no time-out"
            if "timeout_seconds" in node_type.config_schema["properties"]:
                message += "; how long they wait is config.timeout_seconds"
            path = f"nodes.{node_id}.timeout_seconds"
            yield Diagnostic("timeout_without_effect", message, node_id, path, "warning")
        elif seconds > MAX_SECONDS:
            message = f"one attempt takes at most {MAX_SECONDS} seconds, not {seconds:g}"
            yield node_error("timeout_too_long", node_id, message, "timeout_seconds")


def _has_one(node_type: NodeType) -> bool:
    return isinstance(node_type, (Effect, Composite)) or (isinstance(node_type, Pure) and node_type.timed)
