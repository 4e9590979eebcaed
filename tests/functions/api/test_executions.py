"""Runs over HTTP, on moto's interpreter with the real functions behind it."""

from __future__ import annotations

from typing import Any

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

MIB = 1_048_576


def test_a_run_from_start_to_end(api_client, machines):
    workflow_id = created(api_client, adder())
    run = execute(api_client, workflow_id, {"a": 41})
    assert (run["status"], run["final_output"], run["version"], run["trigger_node"]) == ("completed", 42, 0, "start")
    assert run["trigger_data"] == {"a": 41}
    assert run["triggered_by"]["kind"] == "manual"
    assert run["triggered_by"]["id"].startswith("key_")
    assert run["started_at"] <= run["completed_at"]
    whole = made(api_client.get(f"/workflows/executions/{run['id']}"))
    assert {k: whole[k] for k in run} == run
    assert {n: e["status"] for n, e in whole["node_executions"].items()} == dict.fromkeys(
        ("start", "add", "out"), "completed"
    )
    add = whole["node_executions"]["add"]
    assert (add["inputs"], add["outputs"], add["attempts"]) == ({"input": {"a": 41}}, {"output": 42}, 1)
    assert add["duration_ms"] >= 0
    assert made(api_client.get(f"/workflows/{workflow_id}/executions"))["items"] == [
        {k: v for k, v in run.items() if k not in ("attempt", "final_output", "trigger_data", "pause_requested")}
    ]


def test_a_run_is_accepted_before_it_ends(api_client, machines):
    answer = api_client.post(f"/workflows/{created(api_client, asker())}/execute", json={"trigger_data": {"x": 1}})
    assert answer.status_code == 202
    run = answer.json()
    assert answer.headers["location"] == f"/api/v1/workflows/executions/{run['id']}"
    assert run["status"] in ("pending", "running", "paused")
    waiting = until(api_client, run["id"], "paused")
    assert waiting["pause_reason"] == "human_input"
    ask = waiting["node_executions"]["ask"]
    assert (ask["status"], ask["inputs"]) == ("paused", {"input": {"x": 1}})
    assert waiting["node_executions"]["out"]["status"] == "pending"
    made(api_client.post(f"/tasks/{ask['task_id']}/complete", json={"decision": "approve", "data": {"ok": True}}))
    done = until(api_client, run["id"], "completed")
    assert (done["final_output"]["decision"], done["final_output"]["ok"]) == ("approved", True)
    assert done["pause_reason"] is None


def test_versions_run_as_they_were_published(api_client, machines):
    workflow_id = created(api_client, adder())
    made(api_client.post(f"/workflows/{workflow_id}/publish"))
    two = adder()
    two["nodes"][1]["config"]["expression"] = "trigger.a + 2"
    made(api_client.put(f"/workflows/{workflow_id}", json=two))
    assert [execute(api_client, workflow_id, {"a": 0}, version=v)["final_output"] for v in (None, 1, "draft")] == [
        1,
        1,
        2,
    ]
    made(api_client.post(f"/workflows/{workflow_id}/publish"))
    assert [execute(api_client, workflow_id, {"a": 0}, version=v)["version"] for v in (None, 1, 2)] == [2, 1, 2]
    problem(api_client.post(f"/workflows/{workflow_id}/execute", json={"version": 3}), 404, "no_version")
    made(api_client.post(f"/workflows/{workflow_id}/unpublish"))
    assert execute(api_client, workflow_id, {"a": 0})["version"] == 0


def test_one_key_starts_one_run(api_client, other_client, machines):
    workflow_id = created(api_client, adder())
    url, headers = f"/workflows/{workflow_id}/execute", {"Idempotency-Key": "order-7"}
    runs = [made(api_client.post(url, json={"trigger_data": {"a": 1}}, headers=headers)) for _ in range(3)]
    assert len({r["id"] for r in runs}) == 1
    assert len(made(api_client.get(f"/workflows/{workflow_id}/executions"))["items"]) == 1
    found = api_client.post(url, json={"trigger_data": {"a": 2}}, headers=headers)
    problem(found, 422, "idempotency_mismatch")
    theirs = created(other_client, adder())
    other = made(other_client.post(f"/workflows/{theirs}/execute", json={"trigger_data": {"a": 1}}, headers=headers))
    assert other["id"] != runs[0]["id"]
    until(api_client, runs[0]["id"], "completed")
    until(other_client, other["id"], "completed")


def test_a_key_whose_first_call_died_leads_to_the_same_run(api_client, machines, monkeypatch):
    """The run was made, but the call ended before its answer was kept."""
    from shared.errors import Unavailable
    from stepfunctions import manual

    workflow_id = created(api_client, adder())
    url, headers = f"/workflows/{workflow_id}/execute", {"Idempotency-Key": "order-8"}
    with monkeypatch.context() as broken:

        def dies(*_: Any) -> None:
            raise Unavailable("the connection broke")

        broken.setattr(manual, "awaited", dies)
        problem(api_client.post(url, json={"trigger_data": {"a": 1}}, headers=headers), 503)
    again = made(api_client.post(url, json={"trigger_data": {"a": 1}, "wait_seconds": 0}, headers=headers))
    assert [r["id"] for r in made(api_client.get(f"/workflows/{workflow_id}/executions"))["items"]] == [again["id"]]
    until(api_client, again["id"], "completed")


def test_the_input_schema_names_the_field(api_client, machines):
    schema = {
        "type": "object",
        "required": ["order"],
        "properties": {"order": {"type": "object", "properties": {"amount": {"type": "number", "minimum": 1}}}},
    }
    document = adder()
    document["nodes"][0]["config"] = {"input_schema": schema}
    document["nodes"][1]["config"] = {"expression": "trigger.order.amount"}
    workflow_id = created(api_client, document)
    url = f"/workflows/{workflow_id}/execute"
    for data, path, word in (
        (None, "trigger_data", "object"),
        ({}, "trigger_data", "order"),
        ({"order": {"amount": 0}}, "trigger_data.order.amount", "at least 1"),
        ({"order": {"amount": "1"}}, "trigger_data.order.amount", "number"),
    ):
        found = problem(api_client.post(url, json={"trigger_data": data}), 422)
        assert found["errors"][0]["path"] == path
        assert found["errors"][0]["node_id"] == "start"
        assert word in found["detail"]
    assert made(api_client.get(f"/workflows/{workflow_id}/executions"))["items"] == []
    assert execute(api_client, workflow_id, {"order": {"amount": 3}})["final_output"] == 3


def test_a_run_starts_at_the_trigger_it_names(api_client, machines):
    nodes = [
        node("hook", "http_webhook"),
        node("clock", "schedule", {"every": "1 hour"}),
        node("by_hook", "transform", {"expression": "'hook'"}),
        node("by_clock", "transform", {"expression": "'clock'"}),
        node("out", "output"),
    ]
    wires = "hook.body -> by_hook.input; clock.timestamp -> by_clock.input; by_hook.output -> out.value"
    workflow_id = created(api_client, workflow(nodes, wires + "; by_clock.output -> out.value"))
    assert execute(api_client, workflow_id, {"body": 1}, trigger_node="hook")["final_output"] == "hook"
    assert execute(api_client, workflow_id, trigger_node="clock")["final_output"] == "clock"
    found = problem(api_client.post(f"/workflows/{workflow_id}/execute"), 422)
    assert "hook, clock" in found["detail"]
    found = problem(api_client.post(f"/workflows/{workflow_id}/execute", json={"trigger_node": "out"}), 422)
    assert (found["errors"][0]["path"], found["errors"][0]["code"]) == ("trigger_node", "unknown_trigger")


def test_a_disabled_trigger_starts_nothing(api_client, machines):
    nodes = [node("hand", "manual_trigger", disabled=True), node("hook", "http_webhook"), node("out", "output")]
    wires = "hand.trigger -> out.value; hook.body -> out.value"
    workflow_id = created(api_client, workflow(nodes, wires))
    assert execute(api_client, workflow_id, {"body": 1})["final_output"] == 1
    for named, document, word in (
        ({"trigger_node": "hand"}, nodes, "hand is disabled"),
        ({}, [nodes[0], {**nodes[1], "disabled": True}, nodes[2]], "every trigger is disabled: hand, hook"),
    ):
        made(api_client.put(f"/workflows/{workflow_id}", json=workflow(document, wires)))
        found = problem(api_client.post(f"/workflows/{workflow_id}/execute", json=named), 422)
        assert found["errors"][0]["code"] == "disabled_trigger"
        assert word in found["detail"]


def test_a_workflow_without_triggers_starts_at_its_first_nodes(api_client, machines):
    document = workflow([node("a", "transform", {"expression": "7"}), node("out", "output")], "a.output -> out.value")
    workflow_id = created(api_client, document)
    assert execute(api_client, workflow_id)["final_output"] == 7
    problem(api_client.post(f"/workflows/{workflow_id}/execute", json={"trigger_node": "a"}), 422)


def test_the_trigger_payload_has_a_limit(api_client, machines):
    workflow_id = created(
        api_client, workflow([node("s", "manual_trigger"), node("o", "output")], "s.trigger -> o.value")
    )
    fits = "x" * (MIB - 2)  # and two quotes
    found = problem(
        api_client.post(f"/workflows/{workflow_id}/execute", json={"trigger_data": fits + "x"}),
        413,
        "trigger_too_large",
    )
    assert "1,048,576" in found["detail"]
    run = execute(api_client, workflow_id, fits)
    assert run["final_output"] == {"$truncated": True, "size": MIB, "preview": ('"' + fits)[:200]}
    whole = made(api_client.get(f"/workflows/executions/{run['id']}?max_value_bytes=2000000"))
    assert whole["final_output"] == fits
    out = made(api_client.get(f"/workflows/executions/{run['id']}/nodes/o?max_value_bytes=2000000"))
    assert out["items"][0]["inputs"]["value"] == fits
    assert "url" in made(api_client.get(f"/workflows/executions/{run['id']}/nodes/o"))["items"][0]["inputs"]["value"]


def test_the_list_of_runs_is_filtered_and_paged(api_client, machines):
    workflow_id = created(api_client, adder())
    good = [execute(api_client, workflow_id, {"a": n})["id"] for n in range(3)]
    bad = execute(api_client, workflow_id, {"a": "x"})["id"]
    url = f"/workflows/{workflow_id}/executions"
    assert [r["id"] for r in made(api_client.get(url))["items"]] == [bad, *good[::-1]]
    assert [r["id"] for r in made(api_client.get(url + "?status=failed"))["items"]] == [bad]
    page = made(api_client.get(url + "?limit=1&status=completed"))
    seen = list(page["items"])
    while page["next_cursor"]:
        page = made(api_client.get(url + f"?limit=1&status=completed&cursor={page['next_cursor']}"))
        seen += page["items"]
    assert [r["id"] for r in seen] == good[::-1]
    moment = made(api_client.get(f"/workflows/executions/{good[1]}"))["created_at"]
    assert [r["id"] for r in made(api_client.get(url + f"?to={moment}"))["items"]] == [good[0]]
    assert [r["id"] for r in made(api_client.get(url + f"?from={moment}"))["items"]] == [bad, good[2], good[1]]
    assert made(api_client.get(url + f"?from={moment}&to={moment}"))["items"] == []


def test_events_go_on_where_they_were_left(api_client, tenant, machines):
    from shared.runs.store import RunStore
    from shared.store.table import TenantTable

    run = execute(api_client, created(api_client, adder()), {"a": 1})
    store = RunStore(TenantTable(tenant))
    for number in range(5):
        item = {"type": "node_completed", "node_id": f"n{number}", "at": "2026-01-01T00:00:00.000Z"}
        store.put_event(run["id"], f"{number:021d}", item)
    url = f"/workflows/executions/{run['id']}/events"
    first = made(api_client.get(url + "?limit=2"))
    assert [e["node_id"] for e in first["items"]] == ["n0", "n1"]
    assert first["items"][0] == {
        "sequence": f"{0:021d}",
        "type": "node_completed",
        "node_id": "n0",
        "at": "2026-01-01T00:00:00.000Z",
    }
    rest = made(api_client.get(url + f"?after={first['after']}"))
    assert [e["node_id"] for e in rest["items"]] == ["n2", "n3", "n4"]
    assert rest["next_cursor"] is None
    paged = made(api_client.get(url + f"?limit=2&cursor={first['next_cursor']}"))
    assert [e["node_id"] for e in paged["items"]] == ["n2", "n3"]
    nothing = made(api_client.get(url + f"?after={rest['after']}"))
    assert (nothing["items"], nothing["after"]) == ([], rest["after"])


BAD = [
    ("execute", b"{", 400, None),
    ("execute", b'{"trigger_data": NaN}', 400, None),
    ("execute", [], 422, "body"),
    ("execute", {"trigger": {}}, 422, "trigger"),
    ("execute", {"wait_seconds": 26}, 422, "wait_seconds"),
    ("execute", {"wait_seconds": -1}, 422, "wait_seconds"),
    ("execute", {"wait_seconds": "1"}, 422, "wait_seconds"),
    ("execute", {"version": 0}, 422, "version"),
    ("execute", {"version": "latest"}, 422, "version"),
    ("execute", {"version": 1.5}, 422, "version"),
    ("execute", {"trigger_node": 5}, 422, "trigger_node"),
    ("execute", {"trigger_node": ""}, 422, "trigger_node"),
    ("executions?status=done", None, 422, "query.status"),
    ("executions?from=yesterday", None, 422, "query.from"),
    ("executions?to=2026-13-01", None, 422, "query.to"),
    ("executions?limit=x", None, 422, "query.limit"),
    ("executions?cursor=x", None, 400, None),
]


@pytest.mark.parametrize(("path", "body", "status", "at"), BAD, ids=lambda v: str(v)[:40])
def test_bad_requests(api_client, path, body, status, at):
    workflow_id = created(api_client, adder())
    url, headers = f"/workflows/{workflow_id}/{path}", {"Content-Type": "application/json"}
    if isinstance(body, bytes):
        answer = api_client.post(url, content=body, headers=headers)
    else:
        answer = api_client.get(url) if body is None else api_client.post(url, json=body)
    found = problem(answer, status)
    assert at is None or at in [e["path"] for e in found["errors"]], found
    assert made(api_client.get(f"/workflows/{workflow_id}/executions"))["items"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nodes/nothing", 404),
        ("/nodes/add?cursor=x", 400),
        ("/nodes/add?limit=0", 422),
        ("/nodes/add?max_value_bytes=-1", 422),
        ("?max_value_bytes=5000000", 422),
        ("/events?limit=0", 422),
        ("/events?after=%20", 422),
    ],
)
def test_bad_reads(api_client, path, status):
    run = made(api_client.post(f"/workflows/{created(api_client, adder())}/execute"))
    problem(api_client.get(f"/workflows/executions/{run['id']}{path}"), status)


@pytest.mark.parametrize(("role", "may"), [("viewer", False), ("operator", True)])
def test_roles(api_client, role, may):
    workflow_id = created(api_client, adder())
    run = made(api_client.post(f"/workflows/{workflow_id}/execute"))
    with http_api.connect(made(api_client.post("/api-keys", json={"name": "k", "role": role}))["key"]) as client:
        for path in (f"/{workflow_id}/executions", f"/executions/{run['id']}", f"/executions/{run['id']}/events"):
            made(client.get(f"/workflows{path}"))
        for path in (f"/{workflow_id}/execute", f"/executions/{run['id']}/pause", f"/executions/{run['id']}/cancel"):
            answer = client.post(f"/workflows{path}")
            assert answer.status_code == (202 if may else 403), answer.text
        answer = client.delete(f"/workflows/executions/{run['id']}")
        assert answer.status_code == (204 if may else 403)


def test_another_tenants_run_is_not_there(api_client, other_client, machines):
    workflow_id = created(api_client, asker(id="same"))
    created(other_client, asker(id="same"))
    run = made(api_client.post(f"/workflows/{workflow_id}/execute"))
    until(api_client, run["id"], "paused")
    assert made(other_client.get("/workflows/same/executions"))["items"] == []
    for path in ("", "/events", "/nodes/ask"):
        problem(other_client.get(f"/workflows/executions/{run['id']}{path}"), 404)
    for word in ("cancel", "pause", "resume", "retry"):
        problem(other_client.post(f"/workflows/executions/{run['id']}/{word}"), 404)
    problem(other_client.delete(f"/workflows/executions/{run['id']}"), 404)
    assert until(api_client, run["id"], "paused")["pause_requested"] is False
    made(api_client.post(f"/workflows/executions/{run['id']}/cancel"))
