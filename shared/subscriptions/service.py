"""Subscriptions follow a workflow's published version, as its webhooks and schedules do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from shared.clock import now_ms
from shared.store.table import TenantTable
from shared.subscriptions.model import LISTENERS, MCP_TOOL, Subscription
from shared.subscriptions.store import SubscriptionStore

if TYPE_CHECKING:
    from shared.workflows.model import Document

_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST: Final = 64


def follow(table: TenantTable, workflow_id: str, version: int, document: Document | None) -> list[dict[str, Any]]:
    """Make a workflow's subscriptions those of this version (None: none at all); gives them as JSON."""
    store, made = SubscriptionStore(table), []
    nodes = () if document is None else document.nodes
    for kind in LISTENERS:
        wanted = {n.id: n for n in nodes if n.type == kind and not n.disabled}
        for node in wanted.values():
            store.put(Subscription(kind, workflow_id, node.id, node.config, version))
            made.append({"type": kind, "id": None, "node_id": node.id})
        for held in store.of(kind, workflow_id):
            if held.node_id not in wanted:
                store.remove(kind, workflow_id, held.node_id, version)
    _follow_tool(store, workflow_id, version, document)
    return made


def _follow_tool(store: SubscriptionStore, workflow_id: str, version: int, document: Document | None) -> None:
    held = store.of(MCP_TOOL, workflow_id)
    wanted = None if document is None else _tool(workflow_id, version, document, held)
    if wanted is not None:
        store.put(wanted)
    for other in held:
        if wanted is None or other.node_id != wanted.node_id:
            store.remove(MCP_TOOL, workflow_id, other.node_id, version)


def _tool(workflow_id: str, version: int, document: Document, held: list[Subscription]) -> Subscription | None:
    """None: it is not marked as a tool, or a call of it could not start it."""
    from shared.nodes.base import Trigger
    from shared.nodes.registry import find

    tool = document.settings.mcp
    triggers = [n for n in document.nodes if isinstance(find(n.type), Trigger)]
    manual = next((n for n in triggers if n.type == "manual_trigger" and not n.disabled), None)
    if tool is None or not tool.enabled or (triggers and manual is None):
        return None
    name = tool.name or _UNFIT.sub("_", document.name).strip("_").lower()[:_LONGEST] or workflow_id
    before = next((s for s in held if s.config["name"] == name), None)
    config = {
        "name": name,
        "description": tool.description or document.description or document.name,
        "input_schema": None if manual is None else manual.config.get("input_schema"),
        "since": now_ms() if before is None else before.config["since"],
    }
    return Subscription(MCP_TOOL, workflow_id, "-" if manual is None else manual.id, config, version)
