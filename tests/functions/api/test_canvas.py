"""The canvas of a workflow over HTTP: nodes and edges, positions, and that it is the same draft."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functions.api.workflows_over_http import Json, adder, created, made, node, problem, workflow


def looped() -> Json:
    return workflow(
        [
            node("in", "delay", parent="each"),
            node("start", "manual_trigger"),
            node("each", "loop", inputs={"items": [1]}, notes="n", position={"x": 5, "y": 7}),
            node("out", "output"),
        ],
        "start.trigger -> each.items; each.item -> in.input; each.results -> out.value",
    )


def test_nodes_and_edges_as_react_flow_wants_them(api_client):
    found = made(api_client.get(f"/workflows/{created(api_client, looped())}/canvas"))
    nodes = {n["id"]: n for n in found["nodes"]}
    order = [n["id"] for n in found["nodes"]]
    assert order.index("each") < order.index("in"), "a parent stands before its children"
    assert nodes["each"]["position"] == {"x": 5, "y": 7}
    assert (nodes["in"]["parentId"], nodes["each"]["parentId"]) == ("each", None)
    assert (nodes["each"]["type"], nodes["each"]["data"]["label"], nodes["each"]["data"]["notes"]) == (
        "loop",
        "Loop",
        "n",
    )
    assert found["edges"][0] == {
        "id": "c0", "source": "start", "sourceHandle": "trigger", "target": "each", "targetHandle": "items",
    }  # fmt: skip


def test_nodes_without_a_position_stand_from_left_to_right_apart_from_each_other(api_client):
    fork = workflow(
        [node("a", "manual_trigger"), node("b", "delay"), node("c", "delay"), node("d", "merge")],
        "a.trigger -> b.input; a.trigger -> c.input; b.output -> d.inputs; c.output -> d.inputs",
    )
    workflow_id = created(api_client, fork)
    places = {n["id"]: n["position"] for n in made(api_client.get(f"/workflows/{workflow_id}/canvas"))["nodes"]}
    assert places["a"]["x"] < places["b"]["x"] == places["c"]["x"] < places["d"]["x"]
    assert places["b"]["y"] != places["c"]["y"]
    assert made(api_client.get(f"/workflows/{workflow_id}"))["nodes"][0]["position"] is None, "looking stores nothing"


def test_a_cycle_and_parents_that_go_round_are_drawn_too(api_client):
    odd = workflow(
        [
            node("a", "delay", parent="b"),
            node("b", "loop", parent="a"),
            node("c", "delay", parent="gone"),
            node("d", "delay"),
        ],
        "c.output -> c.input; d.output -> d.input",
    )
    found = made(api_client.get(f"/workflows/{created(api_client, odd)}/canvas"))
    assert {n["id"] for n in found["nodes"] if n["position"]["x"] >= 0} == {"a", "b", "c", "d"}


def test_a_canvas_saved_as_it_was_read_is_the_same_workflow(api_client):
    workflow_id = created(api_client, looped())
    url = f"/workflows/{workflow_id}"
    before = made(api_client.get(url))
    answer = api_client.get(f"{url}/canvas")
    drawn = answer.json()
    for n in drawn["nodes"]:
        n |= {"selected": True, "width": 200, "measured": {"width": 200}, "dragging": False}
    saved = api_client.put(f"{url}/canvas", json=drawn, headers={"If-Match": answer.headers["etag"]})
    assert made(saved)["revision"] == 2
    after = made(api_client.get(url))

    def plain(nodes: list[Json]) -> Any:
        return [{k: v for k, v in n.items() if k != "position"} for n in nodes]

    assert plain(after["nodes"]) == plain(before["nodes"])
    assert after["connections"] == before["connections"]
    assert all(n["position"] for n in after["nodes"])
    assert (after["name"], after["variables"], after["settings"]) == (
        before["name"],
        before["variables"],
        before["settings"],
    )
    problem(api_client.put(f"{url}/canvas", json=drawn, headers={"If-Match": answer.headers["etag"]}), 412)


def test_a_canvas_gains_and_loses_nodes(api_client):
    workflow_id = created(api_client, adder())
    url = f"/workflows/{workflow_id}/canvas"
    drawn = made(api_client.get(url))
    drawn["nodes"] = [n for n in drawn["nodes"] if n["id"] != "add"]
    drawn["nodes"].append({"id": "new", "type": "delay", "position": {"x": 1, "y": 2}, "data": {"config": {"ms": 1}}})
    drawn["edges"] = [
        {"id": "e", "source": "start", "sourceHandle": "trigger", "target": "new", "targetHandle": "input"}
    ]
    made(api_client.put(url, json={"nodes": drawn["nodes"], "edges": drawn["edges"]}))
    document = made(api_client.get(f"/workflows/{workflow_id}"))
    assert [(n["id"], n["config"]) for n in document["nodes"]][-1] == ("new", {"ms": 1})
    assert [c["target_node"] for c in document["connections"]] == ["new"]


def test_a_node_is_moved(api_client):
    workflow_id = created(api_client, adder())
    url = f"/workflows/{workflow_id}/nodes/add/position"
    answer = api_client.put(url, json={"x": 10, "y": -3.5}, headers={"If-Match": '"1"'})
    assert next(n for n in made(answer)["nodes"] if n["id"] == "add")["position"] == {"x": 10, "y": -3.5}
    problem(api_client.put(url, json={"x": 1, "y": 1}, headers={"If-Match": '"1"'}), 412)
    problem(api_client.put(url.replace("add", "none"), json={"x": 1, "y": 1}), 404)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"nodes": [], "edges": [{"id": "e"}]},
        {"nodes": [{"id": "a b", "type": "delay", "position": {"x": 1, "y": 1}}], "edges": []},
        {"nodes": [{"id": "a", "type": "delay", "position": {"x": "left", "y": 1}}], "edges": []},
        {"nodes": [{"id": "a", "type": "delay", "position": {"x": 1, "y": 1}, "data": {"config": 5}}], "edges": []},
        {"nodes": [{"id": "a", "type": "delay", "position": {"x": 1, "y": 1}, "data": {"retry": {}}}], "edges": []},
    ],
)
def test_what_is_no_canvas_is_refused(api_client, body):
    url = f"/workflows/{created(api_client, adder())}/canvas"
    assert problem(api_client.put(url, json=body), 422)["errors"]
