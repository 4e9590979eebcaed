"""Workflows and their runs as a client sees them."""

from __future__ import annotations

import time
from typing import Any

import httpx

Json = dict[str, Any]


def node(node_id: str, type_name: str, config: Json | None = None, **fields: Any) -> Json:
    """A node; other fields by name."""
    return {"id": node_id, "type": type_name, "config": config or {}, **fields}


def workflow(nodes: list[Json], wires: str = "", **fields: Any) -> Json:
    """A document; `wires` are pairs such as `a.output -> b.input`, with semicolons between them."""
    connections = []
    for number, wire in enumerate(w.strip() for w in wires.split(";") if w.strip()):
        (source, source_port), (target, target_port) = (end.strip().split(".") for end in wire.split("->"))
        ends = {"source_node": source, "source_port": source_port, "target_node": target, "target_port": target_port}
        connections.append({"id": f"c{number}", **ends})
    return {"name": "Sample", "nodes": nodes, "connections": connections, **fields}


def adder(**fields: Any) -> Json:
    """Adds one to `a` of what it is started with."""
    return workflow(
        [
            node("start", "manual_trigger"),
            node("add", "transform", {"expression": "trigger.a + 1"}),
            node("out", "output"),
        ],
        "start.trigger -> add.input; add.output -> out.value",
        **fields,
    )


def asker(**fields: Any) -> Json:
    """Waits for a person."""
    return workflow(
        [node("start", "manual_trigger"), node("ask", "human_in_the_loop", {"title": "May I?"}), node("out", "output")],
        "start.trigger -> ask.input; ask.response -> out.value",
        **fields,
    )


def made(answer: httpx.Response) -> Json:
    """The body of an answer that says that it was done."""
    assert answer.status_code in (200, 201, 202), answer.text
    body: Json = answer.json()
    return body


def created(client: httpx.Client, document: Json) -> str:
    """The id of a workflow that has just been stored."""
    return str(made(client.post("/workflows", json=document))["id"])


def problem(answer: httpx.Response, status: int, code: str | None = None) -> Json:
    """The body of an answer that says what went wrong."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: Json = answer.json()
    assert code in (None, body["code"]), body
    return body


def execute(client: httpx.Client, workflow_id: str, trigger_data: Any = None, **fields: Any) -> Json:
    """A run that has ended."""
    body = {"trigger_data": trigger_data, "wait_seconds": 20, **fields}
    answer = client.post(f"/workflows/{workflow_id}/execute", json=body)
    assert answer.status_code == 200, answer.text
    return made(answer)


def until(client: httpx.Client, execution_id: str, *statuses: str) -> Json:
    """The run, once it has one of these statuses."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = made(client.get(f"/workflows/executions/{execution_id}"))
        if found["status"] in statuses:
            return found
    raise AssertionError(f"still {found['status']}: {found}")
