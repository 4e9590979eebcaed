"""The meaning of a document, read off the specification as plainly as can be: one node after the other, no journal, no
segments. It knows a few node types and a handful of expressions, and shares no code with the engine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

UNDEFINED = object()
PORTS = {
    "transform": ("output",),
    "condition": ("true", "false"),
    "merge": ("output",),
    "delay": ("output", "elapsed"),
    "log": (),
    "output": (),
    "loop": ("results", "count"),
}
REQUIRED = {"log": "message", "loop": "items"}


class Failed(Exception):
    """A node failed with this error."""


@dataclass
class Played:
    """What became of a scope: statuses and outputs by node, and which nodes failed without being handled."""

    local: dict[str, Any]
    outer: Played | None
    status: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    fatal: dict[str, str] = field(default_factory=dict)


def value(text: str, names: dict[str, Any]) -> Any:
    """One of the expressions that the documents are made of."""
    if text == "$error('no')":
        raise Failed("ExpressionError")
    if found := re.fullmatch(r"(.+) \? (.+) : (.+)", text):
        test, yes, no = found.groups()
        return value(yes if value(test, names) is True else no, names)
    if found := re.fullmatch(r"\$exists\((.+)\)", text):
        return value(found[1], names) is not UNDEFINED
    if found := re.fullmatch(r"(.+) = (\d+)", text):
        left = value(found[1], names)
        return type(left) is int and left == int(found[2])
    if found := re.fullmatch(r"\{'v': (.+)\}", text):
        inside = value(found[1], names)
        return {} if inside is UNDEFINED else {"v": inside}
    if text.isdigit():
        return int(text)
    at: Any = names
    for part in text.replace("`", "").split("."):
        at = at.get(part, UNDEFINED) if isinstance(at, dict) else UNDEFINED
    return at


def delivered(doc: Any, node: Any, played: Played) -> list[tuple[str, Any]]:
    """(port, value) of each connection that delivers one, in document order."""
    found = []
    for c in doc["connections"]:
        if c["target_node"] == node["id"]:
            source = played.local if c["source_node"] == node["parent"] else played.outputs[c["source_node"]]
            if c["source_port"] in source:
                found.append((c["target_port"], source[c["source_port"]]))
    return found


def names_of(played: Played, trigger: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    nodes: dict[str, Any] = {}
    local: dict[str, Any] = {}
    scope: Played | None = played
    while scope is not None:
        nodes, local, scope = scope.outputs | nodes, scope.local | local, scope.outer
    return {"nodes": nodes, "trigger": trigger, "inputs": inputs, **local}


def waits_for(doc: Any, node: Any) -> set[str]:
    """The nodes of its scope that must be finished or skipped before."""
    body = [n for n in doc["nodes"] if n["parent"] == node["id"]]
    read = set(re.findall(r"nodes\.(\w+)\.", str([node["config"], node["inputs"], [b["config"] for b in body]])))
    wired = {c["source_node"] for c in doc["connections"] if c["target_node"] == node["id"]}
    return {n["id"] for n in doc["nodes"] if n["id"] in read | wired and n["parent"] == node["parent"]}


def outputs_of(doc: Any, node: Any, inputs: dict[str, Any], played: Played, trigger: Any) -> dict[str, Any]:
    """The ports that the node sets. Raises Failed."""
    config, names = node["config"], names_of(played, trigger, inputs)
    match node["type"]:
        case "transform":
            found = value(config["expression"], names)
            return {"output": None if found is UNDEFINED else found}
        case "condition":
            return {"true" if value(config["condition"], names) is True else "false": inputs.get("input")}
        case "switch":
            for case, text in config["cases"].items():
                if value(text, names) is True:
                    return {case: inputs.get("input")}
            return {"default": inputs.get("input")}
        case "merge":
            given = inputs.get("inputs", [])
            if config["mode"] == "array":
                return {"output": given}
            if config["mode"] == "first":
                return {"output": given[0] if given else None}
            if not all(isinstance(g, dict) for g in given):
                raise Failed("InvalidInput")
            return {"output": {k: v for g in given for k, v in g.items()}}
        case "delay":
            return {"output": inputs.get("input"), "elapsed": 0}
        case "log":
            if inputs.get("level") == "bad":
                raise Failed("InvalidInput")
            return {}
        case "loop":
            return looped(doc, node, inputs["items"], played, trigger)
    return {}


def looped(doc: Any, node: Any, items: Any, played: Played, trigger: Any) -> dict[str, Any]:
    if not isinstance(items, list):
        raise Failed("InvalidInput")
    body = [n for n in doc["nodes"] if n["parent"] == node["id"]]
    sinks = [n for n in body if not any(c["source_node"] == n["id"] for c in doc["connections"])]
    results = []
    for index, item in enumerate(items):
        inner = play(doc, node["id"], {"item": item, "index": index}, played, trigger)
        if inner.fatal:
            if node["config"]["on_item_error"] == "fail":
                raise Failed(next(iter(inner.fatal.values())))
            results += [None] if node["config"]["on_item_error"] == "null" else []
        elif "result" in node["config"]:
            found = value(node["config"]["result"], names_of(inner, trigger, {}))
            results.append(None if found is UNDEFINED else found)
        else:
            given = {s["id"]: inner.outputs[s["id"]].get((*ports(s), "")[0]) for s in sinks}
            results.append(next(iter(given.values())) if len(given) == 1 else given)
    return {"results": results, "count": len(items)}


def ports(node: Any) -> tuple[str, ...]:
    if node["type"] == "switch":
        return (*node["config"]["cases"], "default")
    return PORTS[node["type"]]


def decide(doc: Any, node: Any, played: Played, trigger: Any) -> None:
    """Settle a node: whether it runs, and what it delivers."""
    found = delivered(doc, node, played)
    inputs: dict[str, Any] = {}
    for port, given in found:
        if port == "inputs":
            inputs.setdefault(port, []).append(given)
        else:
            inputs.setdefault(port, given)
    if not node["disabled"]:
        inputs = {**node["inputs"], **inputs}
    wired = any(c["target_node"] == node["id"] for c in doc["connections"])
    missing = not node["disabled"] and REQUIRED.get(node["type"]) not in (None, *inputs)
    played.status[node["id"]], played.outputs[node["id"]] = "completed", {}
    if (wired and not found) or missing:
        played.status[node["id"]] = "skipped"
    elif node["type"] == "manual_trigger":
        played.outputs[node["id"]] = {"trigger": trigger}
    elif node["type"] == "http_webhook":
        played.status[node["id"]] = "skipped"
    elif node["disabled"]:
        played.outputs[node["id"]] = {ports(node)[0]: found[0][1] if found else None} if ports(node) else {}
    else:
        try:
            played.outputs[node["id"]] = outputs_of(doc, node, inputs, played, trigger)
        except Failed as failure:
            fails(doc, node, str(failure), played)


def fails(doc: Any, node: Any, error: str, played: Played) -> None:
    played.status[node["id"]] = "failed"
    if any(c["source_node"] == node["id"] and c["source_port"] == "error" for c in doc["connections"]):
        told = {"node_id": node["id"], "error": error, "message": "*", "attempts": 1}
        played.outputs[node["id"]] = {"error": told}
    elif node["on_error"] == "continue":
        played.outputs[node["id"]] = dict.fromkeys(ports(node))
    elif node["on_error"] != "branch":
        played.fatal[node["id"]] = error


def play(doc: Any, scope: str | None, local: dict[str, Any], outer: Played | None, trigger: Any) -> Played:
    """Run a scope: the workflow (None), or one iteration of a loop's body. What waits for a failure is not decided."""
    played = Played(local, outer)
    left = [n for n in doc["nodes"] if n["parent"] == scope]
    while ready := [n for n in left if waits_for(doc, n) <= played.status.keys() - played.fatal.keys()]:
        for node in ready:
            decide(doc, node, played, trigger)
            left.remove(node)
    return played


def final_output(doc: Any, played: Played) -> Any:
    ran = [n for n in doc["nodes"] if n["type"] == "output" and played.status.get(n["id"]) == "completed"]
    values = {}
    for node in ran:
        found = [v for _, v in delivered(doc, node, played)]
        values[node["id"]] = found[0] if found else None
    return next(iter(values.values())) if len(values) == 1 else values or None
