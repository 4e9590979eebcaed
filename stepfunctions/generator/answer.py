"""The form in which a model writes a workflow, there and back.

It is the document with what machines need left out: connections are `node.port` to `node.port`, and what may hold any
JSON (`config`, `inputs`, `variables`) is JSON as text. So the schema has fixed fields only, which is what providers'
strict modes demand. Positions, notes and the like of a workflow that is changed stay as they were.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.errors import BadRequest
from shared.strict_json import loads
from stepfunctions.compiler.diagnostics import Diagnostic

Json = dict[str, Any]


def _object(**properties: Mapping[str, Any]) -> Json:
    named = {name.rstrip("_"): schema for name, schema in properties.items()}
    return {"type": "object", "properties": named, "required": list(named), "additionalProperties": False}


def _said(kind: str | list[str], description: str, **more: Any) -> Json:
    return {"type": kind, "description": description, **more}


def _list(description: str, items: Mapping[str, Any]) -> Json:
    return {"type": "array", "description": description, "items": dict(items)}


_TEXT: Final = {"type": "string"}
_MAYBE: Final = ["string", "null"]
_KEPT: Final = ("position", "notes", "metadata", "idempotent", "disabled")  # of a node that was there before
_WORKFLOW: Final = _object(
    name=_said("string", "A short name for people."),
    description=_said("string", "What the workflow does, in a sentence or two."),
    category=_said(_MAYBE, "A word for its field, such as support."),
    nodes=_list(
        "The nodes.",
        _object(
            id=_said("string", "Letters, digits and _, beginning with a letter; unique."),
            type=_said("string", "A node type of the list."),
            name=_said(_MAYBE, "What people call this step."),
            parent=_said(_MAYBE, "The container that the node is in; null: none."),
            config=_said("string", 'The config: a JSON object as text, such as {"model": "m"}; {} for none.'),
            inputs=_said("string", "Values for input ports that no connection delivers: a JSON object as text."),
            retries=_said(["integer", "null"], "How often a failed node is tried again; null: never."),
            timeout_seconds=_said(["number", "null"], "How long one attempt may take; null: the type's own."),
            on_error={"anyOf": [{"type": "string", "enum": ["fail", "continue", "branch"]}, {"type": "null"}]},
        ),
    ),
    connections=_list(
        "The connections.",
        _object(
            from_=_said("string", "node.port of the value: an output port."),
            to=_said("string", "node.port where it goes: an input port."),
        ),
    ),
    variables=_said("string", "The workflow's variables: a JSON object as text; {} for none."),
)
SCHEMA: Final = _object(
    cannot=_said(_MAYBE, "Why this cannot be built with what there is; null where it can. Then workflow is null."),
    explanation=_said("string", "For the person who asked: how the workflow works, and what you assumed."),
    workflow={"anyOf": [_WORKFLOW, {"type": "null"}]},
    agents_to_create=_list(
        "Agents that the workflow uses and that are not there yet.",
        _object(
            name=_said("string", "Small letters, digits and _, beginning with a letter; not the name of one there is."),
            description=_said("string", "What it is for."),
            instructions=_said("string", "What the agent is told."),
            tools=_list("Names of tools.", _TEXT),
            mcp_servers=_list("Names of MCP servers.", _TEXT),
        ),
    ),
    mcps_suggested=_list(
        "MCP servers that somebody could connect to make it better. The workflow works without them.",
        _object(name=_TEXT, url=_said(_MAYBE, "Its address, if you know it."), reason=_TEXT),
    ),
    credentials_needed=_list(
        "Credentials that the workflow names and that are not there yet.",
        _object(name=_TEXT, kind=_TEXT, reason=_TEXT),
    ),
    templates_used=_list("Ids of the templates that it follows.", _TEXT),
)


def notation(document: Mapping[str, Any]) -> Json:
    """A stored document in the model's form."""
    return {
        "name": document["name"],
        "description": document["description"],
        "category": document["category"],
        "nodes": [_node_shown(n) for n in document["nodes"]],
        "connections": [
            {"from": f"{c['source_node']}.{c['source_port']}", "to": f"{c['target_node']}.{c['target_port']}"}
            for c in document["connections"]
        ],
        "variables": _text(document["variables"]),
    }


def document_of(workflow: Mapping[str, Any], base: Mapping[str, Any] | None) -> tuple[Json, list[Diagnostic]]:
    """The document that the model means, and what of it could not be read.

    `base`: the document that it changes, from which comes what the form does not have.
    """
    problems: list[Diagnostic] = []
    before = {n["id"]: n for n in base["nodes"]} if base is not None else {}
    nodes = [_node(n, before.get(n["id"]), problems) for n in workflow["nodes"]]
    known = {_ends(c): c["id"] for c in base["connections"]} if base is not None else {}
    connections = list(_connections(workflow["connections"], known, problems))
    variables = _parsed(workflow["variables"], None, "variables", problems)
    kept = {name: base[name] for name in ("tags", "settings", "metadata", "id") if name in base} if base else {}
    about = {name: workflow[name] for name in ("name", "description", "category")}
    return {**kept, **about, "nodes": nodes, "connections": connections, "variables": variables}, problems


def _node_shown(node: Mapping[str, Any]) -> Json:
    retry = node.get("retry")
    return {
        **{name: node.get(name) for name in ("id", "type", "name", "parent")},
        "config": _text(node.get("config") or {}),
        "inputs": _text(node.get("inputs") or {}),
        "retries": retry["max_attempts"] if retry else None,
        "timeout_seconds": node.get("timeout_seconds"),
        "on_error": node.get("on_error"),
    }


def _node(said: Mapping[str, Any], before: Mapping[str, Any] | None, problems: list[Diagnostic]) -> Json:
    node_id = said["id"]
    made: Json = {name: said[name] for name in ("id", "type", "name", "parent", "timeout_seconds", "on_error")}
    for name in ("config", "inputs"):
        made[name] = _parsed(said[name], node_id, name, problems)
    if said["retries"]:
        made["retry"] = {"max_attempts": said["retries"]}
    if before is not None and before["type"] == said["type"]:
        made |= {name: before[name] for name in _KEPT if name in before}
        if before.get("retry") and before["retry"]["max_attempts"] == said["retries"]:
            made["retry"] = before["retry"]
    return made


def _connections(said: list[Json], known: Mapping[tuple[str, ...], str], problems: list[Diagnostic]) -> Iterator[Json]:
    taken, number = set(known.values()), 0
    for each in said:
        source, _, source_port = each["from"].strip().partition(".")
        target, _, target_port = each["to"].strip().partition(".")
        if not (source and source_port and target and target_port):
            message = f"a connection leads from node.port to node.port, not from {each['from']!r} to {each['to']!r}"
            problems.append(Diagnostic("bad_connection", message[:300], None, "connections"))
            continue
        ends = (source, source_port, target, target_port)
        names = dict(zip(("source_node", "source_port", "target_node", "target_port"), ends, strict=True))
        connection_id = known.get(ends)
        while connection_id is None:
            number += 1
            connection_id = None if f"c{number}" in taken else f"c{number}"
        yield {"id": connection_id, **names}


def _parsed(text: str, node_id: str | None, path: str, problems: list[Diagnostic]) -> Json:
    try:
        value, fault = loads((text.strip() or "{}").encode(errors="replace")), "it is no object"
    except BadRequest as error:
        value, fault = None, error.detail.replace("the body", "it")
    if isinstance(value, dict):
        return value
    message = f"{path} must be a JSON object as text: {fault}"[:300]
    where = path if node_id is None else f"nodes.{node_id}.{path}"
    problems.append(Diagnostic("bad_json", message, node_id, where))
    return {}


def _ends(connection: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(connection[n] for n in ("source_node", "source_port", "target_node", "target_port"))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
