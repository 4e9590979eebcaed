"""A webhook may wait for a node's answer: then there has to be one that gives it."""

from __future__ import annotations

from collections.abc import Iterator

from stepfunctions.compiler.diagnostics import Diagnostic
from stepfunctions.compiler.graph import Graph


def unanswered(graph: Graph) -> Iterator[Diagnostic]:
    """Warnings: webhooks that a node is to answer, where no node does; and answers for which nobody waits."""
    active = [n for n in graph.nodes.values() if not n.disabled]
    asking = [n.id for n in active if n.type == "http_webhook" and n.config.get("response_mode") == "node"]
    answering = [n.id for n in active if n.type == "webhook_response"]
    for node_id in asking if not answering else ():
        message = (
            "the webhook waits for a webhook_response node, and there is none: every call will be answered with 502"
        )
        yield Diagnostic("no_webhook_response", message, node_id, f"nodes.{node_id}.config.response_mode", "warning")
    for node_id in answering if not asking else ():
        message = "no webhook waits for this answer: set response_mode to node in the webhook's config"
        yield Diagnostic("nobody_waits", message, node_id, f"nodes.{node_id}", "warning")
