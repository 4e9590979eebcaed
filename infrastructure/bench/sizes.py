"""Large things: a workflow of 100 nodes, lists of many workflows and runs, how soon a browser hears of a node's end."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from statistics import median
from typing import Any, Final

from websockets.sync.client import connect

from infrastructure.bench.figures import Figure, compared, rounds
from infrastructure.bench.sides import BenchFailed, Sides, ms_from
from shared.ids import new_id

_NODES: Final = 100
_PAGE: Final = 50
_SAVE_MS: Final = 500.0
_EVENT_MS: Final = 100.0
_DEEP: Final = 1.2
_BATCH: Final = 25
_FIRST: Final = 2  # rounds that are left out: what is only done once was done in them
_PATIENCE_S: Final = 30.0

Item = dict[str, Any]


def measure(sides: Sides, count: int, workflows: int, runs: int) -> list[Figure]:
    """`save_100_nodes`, `load_100_nodes`, `node_end_to_browser`, then lists: `…_deep` is the last page by the first."""
    return [*_document(sides, count), _heard(sides, count), *_lists(sides, count, workflows, runs)]


def _document(sides: Sides, count: int) -> list[Figure]:
    body = _chain("transform", {"expression": "inputs.input"})
    workflow = sides.ours.send("POST", "/workflows", body)["id"]
    saved: list[float] = []
    loaded: list[float] = []
    for number in rounds(count + _FIRST, _PATIENCE_S):
        changed = {**body, "description": f"change {number}"}
        saved.append(sides.ours.timed("PUT", f"/workflows/{workflow}", changed)[0])
        loaded.append(sides.ours.timed("GET", f"/workflows/{workflow}")[0])
    about = f"the clock: {_NODES} nodes in a row over HTTP"
    return [
        _milliseconds("save_100_nodes", saved[_FIRST:], _SAVE_MS, about),
        _milliseconds("load_100_nodes", loaded[_FIRST:], _SAVE_MS, about),
    ]


def _heard(sides: Sides, count: int) -> Figure:
    """From the moment that the journal has as a node's end until the frame that tells of it is here."""
    body = _chain("delay", {"ms": 200}, nodes=3)
    workflow, _ = sides.publish(body)
    key = sides.stack.tenants[0].headers["X-API-Key"]
    heard: list[float] = []
    with connect(f"{sides.stack.ws_url}?token={key}", proxy=None, open_timeout=30) as browser:
        browser.send(json.dumps({"action": "subscribe", "channel": "tenant"}))
        for _ in rounds(count + _FIRST, _PATIENCE_S):
            run = sides.ours.send("POST", f"/workflows/{workflow}/execute", {"trigger_data": {}})["id"]
            heard += _told(browser, run)
    return _milliseconds("node_end_to_browser", heard[_FIRST:], _EVENT_MS, "the clock: from a node's recorded end")


def _told(browser: Any, run: str) -> Iterator[float]:
    """How late each end of a node of this run was told."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        frame = json.loads(browser.recv(timeout=max(0.0, deadline - time.monotonic())))
        if frame.get("execution_id") != run:
            continue
        if frame["type"] == "node_completed":
            yield -ms_from(time.time(), frame["at"])
        elif frame["type"].startswith("execution_") and frame["type"] != "execution_started":
            return


def _lists(sides: Sides, count: int, workflows: int, runs: int) -> list[Figure]:
    workflow = sides.ours.send("POST", "/workflows", _chain("transform", {"expression": "1"}, nodes=1))["id"]
    run = sides.ours.send("POST", f"/workflows/{workflow}/execute", {"wait_seconds": 20})["id"]
    partition = f"T#{sides.tenant_id}#"
    mine = {"PK": f"{partition}WFS", "SK": workflow}
    summaries = _multiplied(sides, mine, workflows, "wf", lambda made: {"SK": made, "id": made})
    # Under keys that are no run's: the table's stream, which hears of these writes too, has nothing to tell of them.
    copies = {"PK": f"{partition}EX#{run}", "SK": "META"}
    listed = _multiplied(
        sides,
        copies,
        runs,
        "ex",
        lambda made: {"PK": f"{partition}BENCH#{made}", "id": made, "GSI1SK": made},
        without=("GSI2PK", "GSI2SK"),
    )
    index = {"GSI1PK": f"{partition}WFEX#{workflow}"}
    last_workflow = {"PK": mine["PK"], "SK": summaries[_PAGE]}
    last_run = {"PK": f"{partition}BENCH#{listed[_PAGE]}", "SK": "META", **index, "GSI1SK": listed[_PAGE]}
    pages = f"/workflows/{workflow}/executions"
    return [
        _deep(sides, "list_workflows_deep", "/workflows", last_workflow, count),
        _deep(sides, "list_runs_deep", pages, last_run, count),
        _got(sides, "get_workflow_among_many", f"/workflows/{workflow}", count),
        _got(sides, "get_run_among_many", f"/workflows/executions/{run}", count),
    ]


def _got(sides: Sides, name: str, path: str, count: int) -> Figure:
    taken = [sides.ours.timed("GET", path)[0] for _ in rounds(count + _FIRST, _PATIENCE_S)]
    return _milliseconds(name, taken[_FIRST:], None, "the clock: one of those lists, over HTTP")


def _deep(sides: Sides, name: str, path: str, last: Item, count: int) -> Figure:
    """The last page against the first one, in turn."""
    first_url = f"{path}?limit={_PAGE}"
    cursor = sides.ours.send("GET", first_url)["next_cursor"]
    mark, _ = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    moved = base64.urlsafe_b64encode(json.dumps([mark, last]).encode()).decode().rstrip("=")
    deep: list[float] = []
    first: list[float] = []
    for _ in rounds(count + _FIRST, _PATIENCE_S):
        first.append(sides.ours.timed("GET", first_url)[0])
        taken, page = sides.ours.timed("GET", f"{first_url}&cursor={moved}")
        if len(page["items"]) != _PAGE:
            raise BenchFailed(f"the last page of {path} has {len(page['items'])} items")
        deep.append(taken)
    against = "the first page of the same list"
    return compared(name, deep[_FIRST:], first[_FIRST:], against=against, target=_DEEP)


def _multiplied(
    sides: Sides, key: Item, count: int, kind: str, named: Callable[[str], Item], without: Sequence[str] = ()
) -> list[str]:
    """Copies of an item under new ids, and these, sorted: writing them by requests would take an hour."""
    client, table = sides.stack.client("dynamodb"), sides.stack.outputs["TableName"]
    item = client.get_item(TableName=table, Key={n: {"S": v} for n, v in key.items()})["Item"]
    for name in without:
        item.pop(name, None)
    ids = [new_id(kind) for _ in range(count)]
    rows = [{**item, **{n: {"S": v} for n, v in named(made).items()}} for made in ids]

    def put(start: int) -> None:
        left = {table: [{"PutRequest": {"Item": row}} for row in rows[start : start + _BATCH]]}
        while left:
            left = client.batch_write_item(RequestItems=left)["UnprocessedItems"]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(0, len(rows), _BATCH)))
    return sorted(ids)


def _milliseconds(name: str, values: Sequence[float], target: float | None, against: str) -> Figure:
    ordered = sorted(values)
    detail = {"against": against, "rounds": len(values), "most_ms": round(ordered[-1], 1)}
    return Figure(name, round(median(values), 1), target, detail, unit="ms")


def _chain(kind: str, config: Item, nodes: int = _NODES) -> Item:
    """Nodes in a row."""
    ids = [f"n{i}" for i in range(nodes)]
    names = ("source_node", "source_port", "target_node", "target_port")
    wires = [(a, "output", b, "input") for a, b in pairwise(ids)]
    return {
        "name": "Bench",
        "nodes": [{"id": i, "type": kind, "config": config, "position": {"x": 0, "y": 0}} for i in ids],
        "connections": [{"id": f"c{i}", **dict(zip(names, w, strict=True))} for i, w in enumerate(wires)],
    }
