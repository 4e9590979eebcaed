"""Runs on the local AWS: from the request that sets them off to their end, against a bare run that does the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final
from uuid import uuid4

import httpx

from infrastructure.bench.figures import Figure, compared, rounds
from infrastructure.bench.sides import BenchFailed, Sides, ms_from, until

_ONE_TASK: Final = "a state machine of one Lambda task, started by a bare function over HTTP: the task"
_BRANCHES: Final = 20
_ITEMS: Final = 100
_AT_ONCE: Final = 10

Node = dict[str, Any]
Measured = tuple[float, float]
"""Milliseconds of ours and of the bare run."""


def measure(sides: Sides, host: str, count: int, seconds: float) -> list[Figure]:
    """Every `run_…`. `host` is the loopback `host:port` whose `/orders/<id>` the runs call."""
    url = f"http://{host}/orders/1"
    sums = {"add": 2, "times": _ITEMS}
    few = {"url": url, "times": _BRANCHES, "at_once": _BRANCHES}
    many = {"url": url, "times": _ITEMS, "at_once": _AT_ONCE}
    question = "a callback state, its token looked up and used by a bare function over HTTP; until the run has ended"
    measured: dict[str, tuple[Callable[[], Measured], str]] = {
        "run_webhook_ten_transforms": (_webhook(sides), f"{_ONE_TASK} adds up; until the answer"),
        "run_twenty_branches": (_started(sides, _branches(url), few), _calls(_BRANCHES, _BRANCHES)),
        "run_loop_hundred_items": (_started(sides, _loop(), sums), f"{_ONE_TASK} adds up; until the run has ended"),
        "run_loop_hundred_requests": (_started(sides, _loop(url), many), _calls(_ITEMS, _AT_ONCE)),
        "run_human_answer": (_human(sides), question),
    }
    each = seconds / len(measured)
    return [_figure(name, once, count, each, against) for name, (once, against) in measured.items()]


def _calls(times: int, at_once: int) -> str:
    return f"{_ONE_TASK} makes the same {times} HTTP requests, {at_once} at once; until the run has ended"


def _figure(name: str, once: Callable[[], Measured], count: int, seconds: float, against: str) -> Figure:
    once()  # functions start, machines are used for the first time
    measured = [once() for _ in rounds(count, seconds)]
    return compared(name, [ours for ours, _ in measured], [bare for _, bare in measured], against=against)


def _webhook(sides: Sides) -> Callable[[], Measured]:
    """A webhook that answers with what ten transforms make of its body: from the request to the answer."""
    steps = [_node(f"t{i}", "transform", {"expression": "inputs.input + 1"}) for i in range(10)]
    hook = _node("hook", "http_webhook", {"response_mode": "last"})
    names = ["t0", *(node["id"] for node in steps[1:])]
    wires = [("hook", "body", "t0", "input")]
    wires += [(a, "output", b, "input") for a, b in pairwise(names)]
    _, trigger = sides.publish(
        _document([hook, *steps, _node("out", "output")], [*wires, (names[-1], "output", "out", "value")])
    )
    given = {"machine": sides.machines.one_task, "input": {"add": 1, "times": 10}}

    def once() -> Measured:
        began = time.perf_counter()
        answer = hooks.post(trigger["url"], json=5)
        ours = (time.perf_counter() - began) * 1000
        if answer.status_code != 200 or answer.json() != 15:
            raise BenchFailed(f"the webhook answered {answer.status_code}: {answer.text[:500]}")
        bare, _ = sides.bare.timed("POST", "/hook", given)
        return ours, bare

    hooks = httpx.Client(timeout=60, trust_env=False)
    return once


def _branches(url: str) -> Node:
    """Twenty requests side by side."""
    ids = [f"b{i}" for i in range(_BRANCHES)]
    nodes = [_node("start", "manual_trigger"), _node("spread", "parallel")]
    nodes += [_node(each, "http_request", inputs={"url": url}) for each in ids]
    nodes += [_node("all", "merge"), _node("out", "output", inputs={"value": "{{ $count(nodes.all.output) }}"})]
    wires = [("start", "trigger", "spread", "inputs")]
    for each in ids:
        wires += [("spread", "outputs", each, "headers"), (each, "status", "all", "inputs")]
    return _document(nodes, wires)


def _loop(url: str | None = None) -> Node:
    """A loop over a hundred items: one after the other through a transform, or ten at once through a request."""
    body = (
        _node("body", "transform", {"expression": "item * 2"}, parent="each")
        if url is None
        else _node("body", "http_request", inputs={"url": url}, parent="each")
    )
    items = {"items": f"{{{{ [1..{_ITEMS}] }}}}"}
    nodes = [
        _node("start", "manual_trigger"),
        _node("each", "loop", {} if url is None else {"max_concurrency": _AT_ONCE}, inputs=items),
        body,
        _node("out", "output", inputs={"value": "{{ nodes.each.count }}"}),
    ]
    return _document(nodes, [])


def _started(sides: Sides, document: Node, job: dict[str, Any]) -> Callable[[], Measured]:
    """A run started over HTTP: from the request to the moment noted as its end."""
    workflow, _ = sides.publish(document)

    def once() -> Measured:
        began = time.time()
        run = sides.ours.send("POST", f"/workflows/{workflow}/execute", {"trigger_data": {}})
        ours = ms_from(began, sides.run_ended(run["id"])["completed_at"])
        began = time.time()
        started = sides.bare.send("POST", "/start", {"machine": sides.machines.one_task, "input": job})
        return ours, ms_from(began, sides.execution_ended(started["execution"])["stopDate"])

    return once


def _human(sides: Sides) -> Callable[[], Measured]:
    """A question, answered over HTTP: from the answer to the moment noted as the run's end."""
    nodes = [_node("start", "manual_trigger"), _node("ask", "human_in_the_loop"), _node("out", "output")]
    wires = [("start", "trigger", "ask", "input"), ("ask", "response", "out", "value")]
    workflow, _ = sides.publish(_document(nodes, wires))
    answer = {"decision": "approve", "data": {}}

    def asked(run_id: str) -> str | None:
        found = sides.ours.send("GET", f"/workflows/executions/{run_id}")
        task: str | None = found["node_executions"]["ask"]["task_id"]
        return task if found["status"] == "paused" else None

    def once() -> Measured:
        run = sides.ours.send("POST", f"/workflows/{workflow}/execute", {"trigger_data": {}})["id"]
        question = uuid4().hex
        given = {"machine": sides.machines.question, "input": {"id": question}}
        execution = sides.bare.send("POST", "/start", given)["execution"]
        task = until(lambda: asked(run), lambda found: found is not None)
        table = sides.stack.client("dynamodb")
        key = {"PK": {"S": "BENCH#ASKED"}, "SK": {"S": question}}
        until(
            lambda: table.get_item(TableName=sides.stack.outputs["TableName"], Key=key),
            lambda found: "Item" in found,
        )
        began = time.time()
        sides.ours.send("POST", f"/tasks/{task}/complete", answer)
        ours = ms_from(began, sides.run_ended(run)["completed_at"])
        began = time.time()
        sides.bare.send("POST", "/answer", {"id": question, "answer": answer})
        return ours, ms_from(began, sides.execution_ended(execution)["stopDate"])

    return once


def _node(node_id: str, kind: str, config: dict[str, Any] | None = None, **more: Any) -> Node:
    return {"id": node_id, "type": kind, "config": config or {}, **more}


def _document(nodes: list[Node], wires: list[tuple[str, str, str, str]]) -> Node:
    names = ("source_node", "source_port", "target_node", "target_port")
    connections = [{"id": f"c{i}", **dict(zip(names, wire, strict=True))} for i, wire in enumerate(wires)]
    return {"name": "Bench", "nodes": nodes, "connections": connections}
