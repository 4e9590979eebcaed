"""Nodes as steps: what they are made of goes under the words of their type, and templates become references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.nodes.registry import find
from shared.workflows.model import Node
from shared.workflows.steps.model import FORMS, MCP_TOOL, OWN, RAW, WHILE, Form
from shared.workflows.steps.nodes import own_thread
from shared.workflows.steps.references import MainPorts, from_values, marked, written_expression

Json = dict[str, Any]
_PLAIN: Final = {
    name: value
    for name, value in Node(id="x", type="x").model_dump(mode="json").items()
    if name not in ("id", "type", "config", "inputs", "parent")
}
_WORDS: Final[Mapping[str, tuple[str, Form]]] = {
    **{form.node: (word, form) for word, form in FORMS.items() if word != "parallel"},
    "while_loop": ("loop", WHILE),
}


def step_of(node: Mapping[str, Any], ports: MainPorts) -> Json:
    """A node as a step, without what hangs on it. It is the same node again unless its texts have no other form."""
    node_type = find(node["type"])
    schema = node_type.schema_for(node["config"]) if node_type else {}

    def expression(_path: str, value: Any) -> Any:
        if not isinstance(value, str):
            return {RAW: value} if isinstance(value, dict) and set(value) == {RAW} else value
        written = written_expression(value, ports)
        return {RAW: value} if written is None else written

    config = marked(node["config"], schema, "", lambda _path, value: from_values(value, ports), expression)
    inputs = from_values(node["inputs"], ports) if set(node["inputs"]) != {RAW} else raw_inputs(node)
    word, form = _word(node, inputs)
    step: Json = {"id": node["id"], "type": word}
    if word == "agent":
        _thread(node, step, inputs)
    if word == "prompt" and inputs.get("messages") == [] and "prompt" in config:
        del inputs["messages"]
    if word == "tool" and node["type"] == "mcp_tool":
        step["tool"] = f"{config.pop('server')}:{config.pop('tool')}"
    for name, (place, key) in form.fields.items() if form else ():
        source = config if place == "config" else inputs
        if key in source and not (name == "thread_id" and source[key] is None):
            step[name] = source.pop(key)
    return {**step, **({"config": config} if config else {}), **({"inputs": inputs} if inputs else {}), **_rest(node)}


def word_of(type_name: str) -> str:
    """What a step of that node type is called."""
    return _WORDS[type_name][0] if type_name in _WORDS else "tool" if type_name == "mcp_tool" else type_name


def raw_step(node: Mapping[str, Any]) -> Json:
    """A node as a step, its texts as the document has them."""
    node_type = find(node["type"])
    schema = node_type.schema_for(node["config"]) if node_type else {}
    config = marked(node["config"], schema, "", lambda _path, v: {RAW: v}, lambda _path, v: {RAW: v})
    step: Json = {"id": node["id"], "type": own_name(node["type"]), "config": config, "inputs": raw_inputs(node)}
    if node["type"] == "agent" and "thread_id" not in node["inputs"]:
        step["thread_id"] = None
    return {**step, **_rest(node)}


def raw_inputs(node: Mapping[str, Any]) -> Json:
    """The node's inputs, with nothing in them to be read as a reference."""
    return {port: {RAW: value} for port, value in node["inputs"].items()}


def own_name(type_name: str) -> str:
    """A node type's name where words of steps may stand as well."""
    words = {*FORMS, "parallel"} - {"agent", "loop", "human_in_the_loop", "parallel"}
    return f"{OWN}{type_name}" if type_name in words or type_name.startswith(OWN) else type_name


def _word(node: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[str, Form | None]:
    config = node["config"]
    match node["type"]:
        case "mcp_tool" if _plain(config.get("server")) and _plain(config.get("tool")) and ":" not in config["server"]:
            return "tool", MCP_TOOL
        case "function_call" if isinstance(inputs.get("name"), str) and ":" in inputs["name"]:
            return "function_call", None
        case "while_loop" if "condition" not in config:
            return "while_loop", None
    return _WORDS.get(node["type"], (own_name(node["type"]), None))


def _plain(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and not set("{}$\\") & set(value)


def _thread(node: Mapping[str, Any], step: Json, inputs: Json) -> None:
    if node["parent"] is not None:
        return
    if "thread_id" not in inputs:
        step["thread_id"] = None
    elif node["inputs"]["thread_id"] == own_thread(node["id"]):
        del inputs["thread_id"]


def _rest(node: Mapping[str, Any]) -> Json:
    return {name: node[name] for name, default in _PLAIN.items() if node[name] != default}
