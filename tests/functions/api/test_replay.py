"""Over HTTP: replay, going on with another version, a single node, pinned outputs."""

from __future__ import annotations

import pytest

from tests import http_api
from tests.functions.api.workflows_over_http import (
    adder,
    asker,
    created,
    execute,
    made,
    node,
    problem,
    until,
    workflow,
)


def failing(http, path: str = "status/503"):
    """`before` and then `maybe`, which fails."""
    nodes = [
        node("start", "manual_trigger"),
        node("before", "http_request", inputs={"url": f"{http.base}/echo?before"}),
        node("maybe", "http_request", inputs={"url": f"{http.base}/{path}"}),
        node("out", "output"),
    ]
    return workflow(nodes, "start.trigger -> before.body; before.status -> maybe.body; maybe.status -> out.value")


def asked(http) -> list[str]:
    return [path for _, path, _, _ in http.seen]


def test_a_replay_is_a_new_run(api_client, owner, machines, http):
    workflow_id = created(api_client, failing(http))
    first = execute(api_client, workflow_id, {"n": 1})
    assert first["status"] == "failed"
    url = f"/workflows/executions/{first['id']}/replay"
    answer = api_client.post(url, json={"from_node": "maybe", "edits": {"maybe": {"status": 299}}})
    assert answer.status_code == 202
    run = answer.json()
    assert run["id"] != first["id"]
    assert answer.headers["location"] == f"/api/v1/workflows/executions/{run['id']}"
    assert run["triggered_by"] == {"kind": "replay", "id": first["id"], "user": owner.user.id}
    done = until(api_client, run["id"], "completed")
    assert (done["final_output"], done["trigger_data"]) == (299, {"n": 1})
    nodes = done["node_executions"]
    assert {n: e["origin"] for n, e in nodes.items()} == {
        "start": "replayed",
        "before": "replayed",
        "maybe": "edited",
        "out": None,
    }
    assert nodes["before"]["outputs"]["status"] == 200
    assert asked(http) == ["/echo?before", "/status/503"]
    shown = made(api_client.get(f"/workflows/executions/{run['id']}/nodes/maybe"))["items"][0]
    assert (shown["origin"], shown["attempts"]) == ("edited", 0)
    assert [r["id"] for r in made(api_client.get(f"/workflows/{workflow_id}/executions"))["items"]] == [
        run["id"],
        first["id"],
    ]


def test_one_key_starts_one_replay(api_client, machines, http):
    first = execute(api_client, created(api_client, failing(http)))
    url, headers = f"/workflows/executions/{first['id']}/replay", {"Idempotency-Key": "again-1"}
    body = {"from_node": "maybe", "edits": {"maybe": {"status": 1}}}
    ids = {made(api_client.post(url, json=body, headers=headers))["id"] for _ in range(3)}
    assert len(ids) == 1
    problem(api_client.post(url, json={"from_node": "before"}, headers=headers), 422, "idempotency_mismatch")
    until(api_client, ids.pop(), "completed")


def test_a_replay_needs_a_run_that_has_ended(api_client, machines):
    run = made(api_client.post(f"/workflows/{created(api_client, asker())}/execute"))
    url = f"/workflows/executions/{run['id']}"
    until(api_client, run["id"], "paused")
    problem(api_client.post(f"{url}/replay", json={"from_node": "ask"}), 409, "run_not_ended")
    made(api_client.post(f"{url}/cancel"))
    again = made(api_client.post(f"{url}/replay", json={"from_node": "out", "edits": {"ask": {"response": {"a": 1}}}}))
    assert until(api_client, again["id"], "completed")["final_output"] == {"a": 1}


def test_a_failed_run_goes_on_with_another_version(api_client, machines, http):
    workflow_id = created(api_client, failing(http))
    run = execute(api_client, workflow_id)
    url = f"/workflows/executions/{run['id']}/retry"
    misfit = failing(http, "echo")
    misfit["nodes"][1]["config"] = {"method": "PUT"}
    made(api_client.put(f"/workflows/{workflow_id}", json=misfit))
    found = problem(api_client.post(url, json={"version": "draft"}), 409, "does_not_fit")
    assert [(e["code"], e["node_id"], e["path"]) for e in found["errors"]] == [
        ("config_changed", "before", "nodes.before")
    ]
    made(api_client.put(f"/workflows/{workflow_id}", json=failing(http, "echo?mended")))
    made(api_client.post(f"/workflows/{workflow_id}/publish"))
    problem(api_client.post(url, json={"version": 2}), 404, "no_version")
    retried = api_client.post(url, json={"version": 1})
    assert retried.status_code == 202
    assert (retried.json()["id"], retried.json()["version"], retried.json()["attempt"]) == (run["id"], 1, 1)
    assert until(api_client, run["id"], "completed")["final_output"] == 200
    assert asked(http) == ["/echo?before", "/status/503", "/echo?mended"]


def test_a_node_by_itself(api_client, owner, machines, http):
    workflow_id = created(api_client, failing(http, "echo"))
    url = f"/workflows/{workflow_id}/nodes/before/execute"
    answer = api_client.post(url, json={"inputs": {"body": 7}, "wait_seconds": 20})
    assert answer.status_code == 200
    run = answer.json()
    assert (run["status"], run["final_output"]["status"], run["version"]) == ("completed", 200, 0)
    assert run["triggered_by"] == {"kind": "node", "id": "before", "user": owner.user.id}
    assert asked(http) == ["/echo?before"]
    key = {"Idempotency-Key": "once"}
    one, two = (made(api_client.post(url, headers=key)) for _ in range(2))
    assert one["id"] == two["id"]
    until(api_client, one["id"], "completed")
    problem(api_client.post(f"/workflows/{workflow_id}/nodes/nobody/execute"), 404)
    found = problem(api_client.post(url, json={"inputs": {"nothing": 1}}), 422)
    assert [e["path"] for e in found["errors"]] == ["inputs.nothing"]


def test_pinned_outputs(api_client, machines, http):
    workflow_id = created(api_client, failing(http))
    run = execute(api_client, workflow_id, pinned={"maybe": {"status": 201}})
    assert (run["status"], run["final_output"]) == ("completed", 201)
    assert asked(http) == ["/echo?before"]
    nodes = made(api_client.get(f"/workflows/executions/{run['id']}"))["node_executions"]
    assert {n: e["origin"] for n, e in nodes.items() if e["origin"]} == {"maybe": "pinned"}
    found = problem(
        api_client.post(f"/workflows/{workflow_id}/execute", json={"pinned": {"x": {}, "maybe": {"y": 1}}}), 422
    )
    assert [e["path"] for e in found["errors"]] == ["pinned.x", "pinned.maybe.y"]


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("replay", None),
        ("replay", {}),
        ("replay", {"from_node": ""}),
        ("replay", {"from_node": 1}),
        ("replay", {"from_node": "add", "edits": []}),
        ("replay", {"from_node": "add", "edits": {"add": 1}}),
        ("replay", {"from_node": "add", "edits": {"add": {"nothing": 1}}}),
        ("replay", {"from_node": "nobody"}),
        ("replay", {"from_node": "add", "version": 0}),
        ("replay", {"from_node": "add", "version": "newest"}),
        ("replay", {"from_node": "add", "more": 1}),
        ("retry", {"version": 0}),
        ("retry", {"version": "1"}),
        ("retry", {"version": True}),
        ("retry", {"from_node": "add"}),
    ],
)
def test_bodies_that_do_not_fit(api_client, machines, what, body):
    run = execute(api_client, created(api_client, adder()), {"a": 1})
    problem(api_client.post(f"/workflows/executions/{run['id']}/{what}", json=body), 422)


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": []},
        {"inputs": {"input": 1}, "outputs_of": {"start": 1}},
        {"wait_seconds": 26},
        {"version": 0},
        {"trigger_node": "start"},
        {"inputs": {str(n): 1 for n in range(101)}},
    ],
)
def test_bodies_of_a_single_node_that_do_not_fit(api_client, body):
    problem(api_client.post(f"/workflows/{created(api_client, adder())}/nodes/add/execute", json=body), 422)


def test_who_may_not_run_may_do_none_of_it(api_client, machines):
    workflow_id = created(api_client, adder())
    run = execute(api_client, workflow_id, {"a": 1})
    for fields in ({"role": "viewer"}, {"role": "owner", "scopes": ["executions:read", "workflows:write"]}):
        key = made(api_client.post("/api-keys", json={"name": "reader", **fields}))["key"]
        with http_api.connect(key) as reader:
            for url, body in (
                (f"/workflows/executions/{run['id']}/replay", {"from_node": "add"}),
                (f"/workflows/executions/{run['id']}/retry", {"version": "draft"}),
                (f"/workflows/{workflow_id}/nodes/add/execute", {}),
                (f"/workflows/{workflow_id}/execute", {"pinned": {}}),
            ):
                problem(reader.post(url, json=body), 403)


def test_another_tenants_runs_are_not_found(api_client, other_client, machines):
    workflow_id = created(api_client, adder())
    run = execute(api_client, workflow_id, {"a": 1})
    mine = created(other_client, adder())
    problem(other_client.post(f"/workflows/executions/{run['id']}/replay", json={"from_node": "add"}), 404)
    problem(other_client.post(f"/workflows/executions/{run['id']}/retry", json={"version": "draft"}), 404)
    problem(other_client.post(f"/workflows/{workflow_id}/nodes/add/execute"), 404)
    assert made(other_client.get(f"/workflows/{mine}/executions"))["items"] == []
