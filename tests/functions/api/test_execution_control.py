"""Runs over HTTP: failing, retrying, pausing, cancelling."""

from __future__ import annotations

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


def test_a_failed_run_says_where_and_goes_on_from_there(api_client, machines, http):
    nodes = [
        node("start", "manual_trigger"),
        node("before", "http_request", inputs={"url": f"{http.base}/echo?before"}),
        node("maybe", "http_request", inputs={"url": f"{http.base}/status/503"}),
        node("after", "transform", {"expression": "nodes.maybe.status"}),
        node("out", "output"),
    ]
    wires = "start.trigger -> before.body; before.status -> maybe.body; maybe.response -> after.input"
    workflow_id = created(api_client, workflow(nodes, wires + "; after.output -> out.value"))
    run = execute(api_client, workflow_id)
    assert run["status"] == "failed"
    assert (run["error"]["node_id"], run["error"]["error"]) == ("maybe", "HttpError")
    found = made(api_client.get(f"/workflows/executions/{run['id']}"))["node_executions"]
    statuses = {n: e["status"] for n, e in found.items()}
    assert statuses == {
        "start": "completed",
        "before": "completed",
        "maybe": "failed",
        "after": "cancelled",
        "out": "cancelled",
    }
    assert found["maybe"]["error"]["error"] == "HttpError"
    retried = api_client.post(f"/workflows/executions/{run['id']}/retry")
    assert retried.status_code == 202
    assert retried.json()["attempt"] == 1
    until(api_client, run["id"], "failed")
    paths = [path for _, path, _, _ in http.seen]
    assert paths.count("/echo?before") == 1  # what is recorded is not done again
    assert paths.count("/status/503") == 2
    key = {"Idempotency-Key": "again"}
    first, repeat = (api_client.post(f"/workflows/executions/{run['id']}/retry", headers=key) for _ in range(2))
    assert (first.json()["attempt"], repeat.json(), repeat.status_code) == (2, first.json(), 202)
    assert repeat.headers["idempotent-replay"] == "true"
    until(api_client, run["id"], "failed")
    assert api_client.post(f"/workflows/executions/{run['id']}/retry", headers=key).json()["attempt"] == 2
    assert [path for _, path, _, _ in http.seen].count("/status/503") == 3
    other = api_client.post(f"/workflows/executions/{run['id']}/retry", json={"version": "draft"}, headers=key)
    problem(other, 422, "idempotency_mismatch")


def test_pause_and_resume(api_client, machines, http):
    nodes = [
        node("start", "manual_trigger"),
        node("slow", "http_request", inputs={"url": f"{http.base}/slow?s=1"}),
        node("next", "http_request", inputs={"url": f"{http.base}/echo"}),
        node("out", "output"),
    ]
    wires = "start.trigger -> slow.body; slow.status -> next.body; next.status -> out.value"
    workflow_id = created(api_client, workflow(nodes, wires))
    run = made(api_client.post(f"/workflows/{workflow_id}/execute"))
    problem(api_client.post(f"/workflows/executions/{run['id']}/resume"), 409, "not_paused")
    asked = api_client.post(f"/workflows/executions/{run['id']}/pause")
    assert asked.status_code == 202
    assert asked.json()["pause_requested"] is True
    paused = until(api_client, run["id"], "paused")
    assert paused["pause_reason"] == "requested"
    assert paused["node_executions"]["next"]["status"] == "pending"
    problem(api_client.post(f"/workflows/executions/{run['id']}/retry"), 409, "not_failed")
    assert api_client.post(f"/workflows/executions/{run['id']}/resume").status_code == 202
    done = until(api_client, run["id"], "completed")
    assert (done["final_output"], done["pause_requested"]) == (200, False)


def test_cancel_ends_a_waiting_run_and_its_task(api_client, machines):
    run = made(api_client.post(f"/workflows/{created(api_client, asker())}/execute"))
    task = until(api_client, run["id"], "paused")["node_executions"]["ask"]["task_id"]
    url = f"/workflows/executions/{run['id']}"
    problem(api_client.delete(url), 409, "run_not_ended")
    cancelled = api_client.post(f"{url}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
    found = made(api_client.get(url))
    assert {n: e["status"] for n, e in found["node_executions"].items()} == {
        "start": "completed",
        "ask": "cancelled",
        "out": "cancelled",
    }
    problem(api_client.post(f"/tasks/{task}/complete", json={"decision": "approve"}), 409)
    for word in ("cancel", "pause", "resume"):
        problem(api_client.post(f"{url}/{word}"), 409, "run_ended")
    assert api_client.delete(url).status_code == 204
    for path in ("", "/events", "/nodes/ask"):
        problem(api_client.get(url + path), 404)
    for word in ("cancel", "pause", "resume", "retry"):
        problem(api_client.post(f"{url}/{word}"), 404)


def test_a_finished_run_is_neither_cancelled_nor_retried(api_client, machines):
    run = execute(api_client, created(api_client, adder()), {"a": 1})
    for word, code in (
        ("cancel", "run_ended"),
        ("pause", "run_ended"),
        ("resume", "run_ended"),
        ("retry", "not_failed"),
    ):
        problem(api_client.post(f"/workflows/executions/{run['id']}/{word}"), 409, code)
    assert until(api_client, run["id"], "completed")["final_output"] == 2
