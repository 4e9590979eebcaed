"""Workflows over HTTP: what is wrong with a document or a request, and that it leaves nothing behind."""

from __future__ import annotations

import json

import pytest

from tests.functions.api.workflows_over_http import adder, created, made, node, problem, workflow

BROKEN = workflow(
    [
        node("start", "manual_trigger"),
        node("start2", "no_such_type"),
        node("a", "transform", {"expression": "1 +"}),
        node("b", "transform", {"expression": "1"}),
        node("c", "transform", {"expression": "1"}),
    ],
    "b.output -> c.input; c.output -> b.input",
)


def test_all_problems_are_reported_at_once(api_client):
    unsaved = made(api_client.post("/workflows/validate", json=BROKEN))
    saved = made(api_client.post(f"/workflows/{created(api_client, BROKEN)}/validate"))
    assert unsaved == saved
    assert unsaved["valid"] is False
    by_node = {p["node_id"]: p for p in unsaved["problems"] if p["severity"] == "error"}
    assert {"start2", "a", "b"} <= set(by_node)
    for found in unsaved["problems"]:
        assert set(found) == {"code", "message", "node_id", "path", "severity"}
    assert by_node["a"]["path"] == "nodes.a.config.expression"
    fine = made(api_client.post("/workflows/validate", json=adder()))
    assert fine == {"valid": True, "problems": []}


def test_a_draft_with_problems_is_kept_but_neither_published_nor_run(api_client):
    workflow_id = created(api_client, BROKEN)
    for path in ("publish", "execute"):
        found = problem(api_client.post(f"/workflows/{workflow_id}/{path}"), 422, "invalid_workflow")
        assert {"start2", "a", "b"} <= {e.get("node_id") for e in found["errors"]}
    problem(api_client.get(f"/workflows/{workflow_id}/asl"), 422, "invalid_workflow")
    assert api_client.get(f"/workflows/{workflow_id}").json()["latest_version"] == 0
    assert api_client.get(f"/workflows/{workflow_id}/versions").json()["items"] == []


GOOD_NODE = node("a", "transform", {"expression": "1"})
BAD_BODIES = [
    (b"{", 400, None),
    (b"[]", 422, "body"),
    (b'"x"', 422, "body"),
    (b"{}", 422, "name"),
    ({"name": ""}, 422, "name"),
    ({"name": 5}, 422, "name"),
    ({"name": "x" * 201}, 422, "name"),
    ({"name": "x", "nodez": []}, 422, "nodez"),
    ({"name": "x", "description": "d" * 1001}, 422, "description"),
    ({"name": "x", "tags": "one"}, 422, "tags"),
    ({"name": "x", "tags": ["t"] * 51}, 422, "tags"),
    ({"name": "x", "id": "1x"}, 422, "id"),
    ({"name": "x", "id": "a" * 101}, 422, "id"),
    ({"name": "x", "id": "a\n"}, 422, "id"),
    ({"name": "x", "nodes": {}}, 422, "nodes"),
    ({"name": "x", "nodes": [{"id": "a"}]}, 422, "nodes.0.type"),
    ({"name": "x", "nodes": [{**GOOD_NODE, "id": "a b"}]}, 422, "nodes.0.id"),
    ({"name": "x", "nodes": [{**GOOD_NODE, "confg": {}}]}, 422, "nodes.0.confg"),
    ({"name": "x", "nodes": [{**GOOD_NODE, "config": []}]}, 422, "nodes.0.config"),
    ({"name": "x", "nodes": [{**GOOD_NODE, "timeout_seconds": -1}]}, 422, "nodes.0.timeout_seconds"),
    ({"name": "x", "nodes": [{**GOOD_NODE, "retry": {"max_attempts": 101}}]}, 422, "nodes.0.retry.max_attempts"),
    ({"name": "x", "nodes": [{**GOOD_NODE, "on_error": "ignore"}]}, 422, "nodes.0.on_error"),
    ({"name": "x", "nodes": [{**GOOD_NODE, "id": f"n{i}"} for i in range(1001)]}, 422, "nodes"),
    ({"name": "x", "connections": [{"id": "c", "source_node": "a"}]}, 422, "connections.0.source_port"),
    ({"name": "x", "settings": {"granularity": "fine"}}, 422, "settings.granularity"),
    ({"name": "x", "settings": {"timeout_seconds": 0}}, 422, "settings.timeout_seconds"),
]


@pytest.mark.parametrize(("body", "status", "path"), BAD_BODIES, ids=lambda v: str(v)[:40])
def test_what_is_no_document_is_refused_wherever_it_is_sent(api_client, body, status, path):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    workflow_id = created(api_client, adder(name="Kept"))
    for method, url in (("POST", ""), ("POST", "/validate"), ("PUT", f"/{workflow_id}")):
        headers = {"Content-Type": "application/json"}
        found = problem(api_client.request(method, f"/workflows{url}", content=content, headers=headers), status)
        assert path is None or path in [e["path"] for e in found["errors"]], found
    assert len(api_client.get("/workflows").json()["items"]) == 1
    assert api_client.get(f"/workflows/{workflow_id}").json()["name"] == "Kept"


INVALID = [
    ("unknown type", workflow([node("a", "no_such")]), "a"),
    ("bad expression", workflow([node("a", "transform", {"expression": "1 +"})]), "a"),
    ("bad template", workflow([node("a", "output", inputs={"value": "{{ 1 + }}"})]), "a"),
    ("bad config", workflow([node("a", "transform", {"expression": 5})]), "a"),
    ("unknown config", workflow([node("a", "transform", {"expression": "1", "x": 1})]), "a"),
    ("unknown node read", workflow([node("a", "transform", {"expression": "nodes.zz.output"})]), "a"),
    ("bad cron", workflow([node("a", "schedule", {"cron": "61 * * * *"})]), "a"),
    ("bad zone", workflow([node("a", "schedule", {"cron": "0 9 * * *", "timezone": "Mars/Base"})]), "a"),
    ("bad form", workflow([node("a", "human_in_the_loop", {"form": {"type": "thing"}})]), "a"),
    ("cycle of one", workflow([GOOD_NODE], "a.output -> a.input"), "a"),
    ("cycle by reading", workflow([node("a", "transform", {"expression": "nodes.a.output"})]), "a"),
    ("unknown port", workflow([GOOD_NODE, node("b", "output")], "a.result -> b.value"), "a"),
    ("unknown parent", workflow([{**GOOD_NODE, "parent": "zz"}]), "a"),
    ("missing input", workflow([node("a", "mapper", {"expression": "item"})]), "a"),
    ("duplicate ids", workflow([GOOD_NODE, GOOD_NODE]), "a"),
]


@pytest.mark.parametrize(("what", "document", "node_id"), INVALID, ids=lambda v: v if isinstance(v, str) else "")
def test_what_cannot_run_is_stored_and_its_problem_names_the_node(api_client, what, document, node_id):
    del what
    workflow_id = created(api_client, document)
    checked = made(api_client.post(f"/workflows/{workflow_id}/validate"))
    assert not checked["valid"]
    assert node_id in {p["node_id"] for p in checked["problems"] if p["severity"] == "error"}
    found = problem(api_client.post(f"/workflows/{workflow_id}/publish"), 422, "invalid_workflow")
    assert node_id in {e.get("node_id") for e in found["errors"]}
    assert api_client.get(f"/workflows/{workflow_id}").json()["is_active"] is False


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "?limit=0", None, 422),
        ("GET", "?limit=201", None, 422),
        ("GET", "?cursor=zzz", None, 400),
        ("GET", "?is_active=maybe", None, 422),
        ("GET", "?q=" + "x" * 201, None, 422),
        ("PATCH", "/{id}", [], 422),
        ("PATCH", "/{id}", "x", 422),
        ("PATCH", "/{id}", {"nmae": "x"}, 422),
        ("PATCH", "/{id}", {"id": "other"}, 422),
        ("PATCH", "/{id}", {"id": 5}, 422),
        ("PATCH", "/{id}", {"settings": None, "connections": "x"}, 422),
        ("PUT", "/{id}", {"name": "x", "id": "other"}, 422),
        ("PUT", "/missing", {"name": "x"}, 404),
        ("POST", "/{id}/publish", {"revision": 0}, 422),
        ("POST", "/{id}/publish", {"revision": "1"}, 422),
        ("POST", "/{id}/publish", {"notes": "x" * 2001}, 422),
        ("POST", "/{id}/publish", {"force": True}, 422),
        ("POST", "/{id}/copy", {"name": ""}, 422),
        ("POST", "/{id}/nothing", {}, 404),
        ("PUT", "/{id}/publish", {}, 405),
        ("GET", "/{id}/asl?explain=maybe", None, 422),
    ],
)
def test_bad_requests(api_client, method, path, body, status):
    workflow_id = created(api_client, adder())
    url = "/workflows" + path.replace("{id}", workflow_id)
    problem(api_client.request(method, url, json=body), status)
    assert api_client.get(f"/workflows/{workflow_id}").json()["revision"] == 1


@pytest.mark.parametrize("tag", ["x", "1", 'W/"', '"1", 2'])
def test_an_etag_that_is_none(api_client, tag):
    url = f"/workflows/{created(api_client, adder())}"
    problem(api_client.patch(url, json={"name": "x"}, headers={"If-Match": tag}), 400, "bad_if_match")


def test_an_etag_that_is_no_drafts(api_client):
    url = f"/workflows/{created(api_client, adder())}"
    problem(api_client.patch(url, json={"name": "x"}, headers={"If-Match": '"abc"'}), 412, "stale")
    assert api_client.patch(url, json={"name": "x"}, headers={"If-Match": '"1"'}).json()["revision"] == 2
