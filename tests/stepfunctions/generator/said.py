"""What a model answers when it writes a workflow, written shortly."""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]


def node(node_id: str, type_name: str, config: Json | None = None, inputs: Json | None = None, **more: Any) -> Json:
    """A node in the model's form."""
    nothing = {"name": None, "parent": None, "retries": None, "timeout_seconds": None, "on_error": None}
    texts = {"config": json.dumps(config or {}), "inputs": json.dumps(inputs or {})}
    return {"id": node_id, "type": type_name, **nothing, **texts, **more}


def answer(nodes: list[Json] | None, wires: str = "", **more: Any) -> Json:
    """A whole answer; `wires` are pairs such as `a.output -> b.input`, with semicolons between them."""
    ends = [w.split("->") for w in wires.split(";") if w.strip()]
    workflow = {
        "name": "Made",
        "description": "Made by a model.",
        "category": None,
        "nodes": nodes,
        "connections": [{"from": source.strip(), "to": target.strip()} for source, target in ends],
        "variables": "{}",
    }
    lists: Json = {name: [] for name in ("agents_to_create", "mcps_suggested", "credentials_needed", "templates_used")}
    made = {"cannot": None, "explanation": "It works.", "workflow": None if nodes is None else workflow, **lists}
    return {**made, **more}


def agent(name: str, **more: Any) -> Json:
    """A new agent in the model's form."""
    return {"name": name, "description": "", "instructions": "", "tools": [], "mcp_servers": [], **more}


START, OUT = node("start", "manual_trigger"), node("out", "output")


def adding(**more: Any) -> Json:
    """An answer: adds one to `a`."""
    nodes = [START, node("add", "transform", {"expression": "trigger.a + 1"}), OUT]
    return answer(nodes, "start.trigger -> add.input; add.output -> out.value", **more)
