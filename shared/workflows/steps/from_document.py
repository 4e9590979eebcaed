"""From the document to steps: in the plainest of three forms that stands for exactly this document.

1. A list: each step follows the one before it; branches and bodies are lists in it.
2. A graph: the steps say what is `next`.
3. All connections written out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from shared.errors import Invalid
from shared.workflows.model import Document
from shared.workflows.steps.from_nodes import raw_step, step_of
from shared.workflows.steps.lists import NotAList, Scopes, graph_of, lists_of
from shared.workflows.steps.nodes import main_ports
from shared.workflows.steps.ports import is_trigger
from shared.workflows.steps.to_document import OUTPUT, connection, document_of_steps

Json = dict[str, Any]
Way = Callable[[Scopes], list[Json]]
_ENDS: Final = ("source_node", "source_port", "target_node", "target_port")


def steps_of_document(document: Mapping[str, Any]) -> Json:
    """The document as steps: JSON of `Written` without `nodes`. `document_of_steps` makes the same document of it."""
    return _steps(document, (lists_of, graph_of))


def steps_as_graph(document: Mapping[str, Any]) -> Json:
    """The document as steps of which each says what is `next`, also where a list would do."""
    return _steps(document, (partial(graph_of, all_through=True),))


def _steps(document: Mapping[str, Any], ways: tuple[Way, ...]) -> Json:
    whole = Document.model_validate(dict(document)).model_dump(mode="json")
    about = {name: value for name, value in whole.items() if name not in ("nodes", "connections")}
    for body in _tries(whole, ways):
        made = _kept_ids({**about, **body}, whole)
        if made is not None:
            return made
    return {**about, **_written_out(whole)}


def shown(document: Mapping[str, Any]) -> Json:
    """The steps of a document with every field of the notation, as answers show them; all of it may be sent again."""
    absent: Json = {"entry_step": None, "output": True, "connections": None, "connection_ids": {}}
    return {**absent, **steps_of_document(document)}


def _tries(whole: Json, ways: tuple[Way, ...]) -> Iterator[Json]:
    """The document's steps as lists and as graphs, which may or may not stand for it."""
    ports = main_ports(whole["nodes"])
    for way in ways:
        for nodes, connections, more in _with_and_without_output(whole):
            try:
                scopes = Scopes(nodes, connections, lambda node: step_of(node, ports))
                steps = way(scopes)
            except (NotAList, RecursionError):
                continue
            first = _first(steps) if way is lists_of else _entry(scopes)
            yield {**({"entry_step": first} if first else {}), "steps": steps, **more}


def _with_and_without_output(whole: Json) -> Iterator[tuple[list[Json], list[Json], Json]]:
    """The nodes without an output node that needs not be said; all nodes; all nodes, and no output node is added."""
    nodes, connections = whole["nodes"], whole["connections"]
    last = nodes[-1] if nodes else None
    if last and last["type"] == OUTPUT and [n["type"] for n in nodes].count(OUTPUT) == 1:
        yield nodes[:-1], [c for c in connections if c["target_node"] != last["id"]], {}
    yield nodes, connections, {}
    if not any(n["type"] == OUTPUT for n in nodes):
        yield nodes, connections, {"output": False}


def _first(steps: list[Json]) -> str | None:
    """The step with which a list begins, behind its triggers."""
    return next((str(s["id"]) for s in steps if not is_trigger(s["type"])), None)


def _entry(scopes: Scopes) -> str | None:
    """The step at which a graph begins, if that is one."""
    top = scopes.children[None]
    triggers = {n["id"] for n in top if is_trigger(n["type"])}
    starts = [n["id"] for n in top if n["id"] not in triggers and {s for s, _ in scopes.incoming[n["id"]]} <= triggers]
    return str(starts[0]) if len(starts) == 1 else None


def _kept_ids(made: Json, whole: Json) -> Json | None:
    """The steps if they stand for the document, with the ids and the order of its connections; else None."""
    try:
        again = document_of_steps(made)
        if again["nodes"] and json.dumps(again["nodes"]) != json.dumps(whole["nodes"]):
            return None
        if json.dumps(again) == json.dumps(whole):
            return made
        ids = {connection(*(c[name] for name in _ENDS))["id"]: c["id"] for c in whole["connections"]}
        made = {**made, "connection_ids": ids}
        return made if json.dumps(document_of_steps(made)) == json.dumps(whole) else None
    except (Invalid, RecursionError):
        return None


def _written_out(whole: Json) -> Json:
    """Every node as a step by itself, and the connections as they are."""
    ports = main_ports(whole["nodes"])
    steps = [{**step_of(n, ports), **_parent(n)} for n in whole["nodes"]]
    alone = {"name": whole["name"], "connections": []}
    try:
        again = document_of_steps({**alone, "steps": steps})["nodes"]
    except Invalid:
        again = []
    if json.dumps(again) != json.dumps(whole["nodes"]):
        steps = [{**raw_step(n), **_parent(n)} for n in whole["nodes"]]
    return {"steps": steps, "connections": whole["connections"]}


def _parent(node: Json) -> Json:
    return {} if node["parent"] is None else {"parent": node["parent"]}
