"""Workflows over HTTP: drafts, validation, versions."""

from __future__ import annotations

import json

import pytest

from tests import http_api
from tests.functions.api.workflows_over_http import adder, asker, created, made, node, problem, workflow

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


def test_what_is_stored_is_read_back(api_client):
    document = adder(description="d", category="sums", tags=["one", "two"], variables={"x": [1, 1.5, {"y": None}]})
    answer = api_client.post("/workflows", json=document)
    assert answer.status_code == 201
    stored = answer.json()
    assert answer.headers["location"] == f"/api/v1/workflows/{stored['id']}"
    assert answer.headers["etag"] == '"1"'
    assert stored["id"].startswith("wf_")
    read = api_client.get(f"/workflows/{stored['id']}")
    assert read.json() == stored
    assert read.headers["etag"] == '"1"'
    for name in ("name", "description", "category", "tags", "connections", "variables"):
        assert read.json()[name] == document[name]
    assert [n["id"] for n in stored["nodes"]] == ["start", "add", "out"]
    assert (stored["is_active"], stored["published_version"], stored["latest_version"]) == (False, None, 0)
    again = api_client.put(f"/workflows/{stored['id']}", json=stored)
    assert again.status_code == 200
    assert again.json() == stored  # what was read may be sent back, and saving it changes nothing


def test_a_free_id_may_be_chosen(api_client, other_client):
    assert created(api_client, adder(id="refund-triage")) == "refund-triage"
    problem(api_client.post("/workflows", json=adder(id="refund-triage")), 409, "id_taken")
    assert created(other_client, adder(id="refund-triage", name="Other")) == "refund-triage"
    assert api_client.get("/workflows/refund-triage").json()["name"] == "Sample"


@pytest.mark.parametrize("word", ["nodes", "executions", "validate"])
def test_an_id_that_is_a_word_of_the_paths_is_refused(api_client, word):
    found = problem(api_client.post("/workflows", json=adder(id=word)), 422)
    assert found["errors"][0]["path"] == "id"


def test_a_repeat_with_its_key_makes_one_workflow(api_client):
    headers = {"Idempotency-Key": "k1"}
    first = api_client.post("/workflows", json=adder(), headers=headers)
    second = api_client.post("/workflows", json=adder(), headers=headers)
    assert second.json() == first.json()
    assert second.headers["etag"] == '"1"'
    assert len(api_client.get("/workflows").json()["items"]) == 1
    problem(api_client.post("/workflows", json=adder(name="x"), headers=headers), 422, "idempotency_mismatch")


def test_the_second_of_two_saves_is_refused_and_loses_nothing(api_client):
    workflow_id = created(api_client, adder())
    url = f"/workflows/{workflow_id}"
    first = api_client.put(url, json=adder(name="First"), headers={"If-Match": '"1"'})
    assert (first.status_code, first.headers["etag"]) == (200, '"2"')
    for method in ("put", "patch"):
        answer = getattr(api_client, method)(url, json=adder(name="Second"), headers={"If-Match": '"1"'})
        problem(answer, 412, "stale")
    problem(api_client.delete(url, headers={"If-Match": '"1"'}), 412, "stale")
    assert api_client.get(url).json()["name"] == "First"
    assert api_client.patch(url, json={"name": "Third"}, headers={"If-Match": "*"}).json()["revision"] == 3


def test_a_patch_merges(api_client):
    url = f"/workflows/{created(api_client, adder(variables={'a': 1, 'b': {'c': 2}}, category='x', tags=['t']))}"
    changes = {"variables": {"a": None, "b": {"d": True}}, "category": None, "settings": {"timeout_seconds": 60}}
    patched = made(api_client.patch(url, json=changes))
    assert patched["variables"] == {"b": {"c": 2, "d": True}}
    assert patched["category"] is None
    assert patched["settings"] == {"timeout_seconds": 60, "granularity": "segment", "max_concurrency": None}
    assert (patched["tags"], len(patched["nodes"]), patched["revision"]) == (["t"], 3, 2)
    content = {"Content-Type": "application/merge-patch+json"}
    assert api_client.patch(url, content=b'{"tags": null, "revision": 7}', headers=content).json()["tags"] == []
    problem(api_client.patch(url, json={"name": None}), 422)
    problem(api_client.patch(url, json={"nodes": [{"id": "x"}]}), 422)
    assert api_client.get(url).json()["revision"] == 3


def test_one_and_true_are_not_the_same_value(api_client):
    url = f"/workflows/{created(api_client, adder(variables={'a': 1}))}"
    assert api_client.patch(url, json={"variables": {"a": True}}).json()["variables"]["a"] is True


def test_the_list_is_filtered_and_paged(api_client):
    ids = [created(api_client, adder(name=f"Flow {n}", category="ab"[n % 2], tags=[f"t{n % 3}"])) for n in range(7)]
    assert [w["id"] for w in api_client.get("/workflows").json()["items"]] == ids[::-1]
    wanted = {
        "category=a": {0, 2, 4, 6},
        "tag=t1": {1, 4},
        "q=FLOW 3": {3},
        "category=a&tag=t1": {4},
        "q=nothing": set(),
        "is_active=true": {2},
        "is_active=false": {0, 1, 3, 4, 5, 6},
    }
    made(api_client.post(f"/workflows/{ids[2]}/publish"))
    for query, numbers in wanted.items():
        found, cursor = [], None
        while True:
            page = made(api_client.get(f"/workflows?{query}&limit=2" + (f"&cursor={cursor}" if cursor else "")))
            found += [w["id"] for w in page["items"]]
            cursor = page["next_cursor"]
            assert len(page["items"]) <= 2
            if cursor is None:
                break
        assert found == [ids[n] for n in sorted(numbers, reverse=True)], query
    cursor = api_client.get("/workflows?limit=2").json()["next_cursor"]
    problem(api_client.get(f"/workflows?limit=2&category=a&cursor={cursor}"), 400, "bad_cursor")


def test_a_copy_is_a_workflow_of_its_own(api_client):
    original = created(api_client, adder(name="x" * 200))
    copy = api_client.post(f"/workflows/{original}/copy")
    assert copy.status_code == 201
    assert copy.json()["id"] != original
    assert copy.json()["name"] == "x" * 193 + " (copy)"
    assert copy.json()["nodes"] == api_client.get(f"/workflows/{original}").json()["nodes"]
    assert made(api_client.post(f"/workflows/{original}/copy", json={"name": "Mine"}))["name"] == "Mine"
    problem(api_client.post(f"/workflows/{original}/copy", json={"nmae": "Mine"}), 422)


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


def test_publishing_keeps_versions_as_they_were(api_client):
    workflow_id = created(api_client, adder(name="One"))
    url = f"/workflows/{workflow_id}"
    first = api_client.post(f"{url}/publish", json={"notes": "first light", "revision": 1})
    assert first.status_code == 200
    assert first.headers["location"] == f"/api/v1{url}/versions/1"
    assert {k: first.json()[k] for k in ("version", "revision", "notes", "workflow_id", "triggers")} == {
        "version": 1,
        "revision": 1,
        "notes": "first light",
        "workflow_id": workflow_id,
        "triggers": [],
    }
    made(api_client.patch(url, json={"name": "Two"}))
    problem(api_client.post(f"{url}/publish", json={"revision": 1}), 412, "stale")
    problem(api_client.post(f"{url}/publish", headers={"If-Match": '"1"'}), 412, "stale")
    problem(api_client.post(f"{url}/publish", json={"revision": 2}, headers={"If-Match": '"1"'}), 400)
    assert made(api_client.post(f"{url}/publish", headers={"If-Match": '"2"'}))["version"] == 2
    now = api_client.get(url).json()
    assert (now["is_active"], now["published_version"], now["latest_version"], now["revision"]) == (True, 2, 2, 2)
    versions = made(api_client.get(f"{url}/versions"))["items"]
    assert [(v["version"], v["revision"], v["notes"]) for v in versions] == [(2, 2, ""), (1, 1, "first light")]
    assert api_client.get(f"{url}/versions?limit=1").json()["next_cursor"]
    names = [api_client.get(f"{url}/versions/{v}").json()["document"]["name"] for v in (1, 2)]
    assert names == ["One", "Two"]
    for missing in ("3", "0", "-1", "1.0", "x", "9" * 30):
        problem(api_client.get(f"{url}/versions/{missing}"), 404)


def test_unpublishing_may_be_repeated(api_client):
    workflow_id = created(api_client, adder())
    made(api_client.post(f"/workflows/{workflow_id}/publish"))
    for _ in range(2):
        after = made(api_client.post(f"/workflows/{workflow_id}/unpublish"))
        assert (after["is_active"], after["published_version"], after["latest_version"]) == (False, None, 1)
    assert made(api_client.post(f"/workflows/{workflow_id}/publish"))["version"] == 2


def test_publishing_shows_a_webhooks_secret_once(api_client):
    nodes = [node("hook", "http_webhook", {"auth": "hmac"}), node("out", "output")]
    workflow_id = created(api_client, workflow(nodes, "hook.body -> out.value"))
    first = made(api_client.post(f"/workflows/{workflow_id}/publish", headers={"Idempotency-Key": "p"}))
    (hook,) = first["triggers"]
    assert hook["secret"]
    replay = api_client.post(f"/workflows/{workflow_id}/publish", headers={"Idempotency-Key": "p"})
    assert replay.json() == first  # a repeat of that very call, which may have been lost on its way
    (again,) = made(api_client.post(f"/workflows/{workflow_id}/publish"))["triggers"]
    assert "secret" not in again
    assert again["id"] == hook["id"]
    assert hook["secret"] not in api_client.get(f"/workflows/{workflow_id}").text
    made(api_client.post(f"/workflows/{workflow_id}/unpublish"))


def test_the_state_machine_carries_nothing_of_the_document(api_client):
    workflow_id = created(api_client, asker(name="Secretive", variables={"word": "xyzzy"}))
    url = f"/workflows/{workflow_id}/asl"
    draft = made(api_client.get(url))
    assert (draft["version"], "explain" in draft) == (0, False)
    assert "xyzzy" not in json.dumps(draft)
    assert "Secretive" not in json.dumps(draft)
    made(api_client.post(f"/workflows/{workflow_id}/publish"))
    made(api_client.patch(f"/workflows/{workflow_id}", json={**adder(), "name": "Changed"}))
    published = made(api_client.get(url + "?explain=true"))
    assert published["version"] == 1
    assert published["definition"] == draft["definition"]
    assert published["machine"] == draft["machine"]
    assert published["explain"]["questions"][0]["node"] == "ask"
    assert made(api_client.get(url + "?version=1"))["machine"] == draft["machine"]
    assert made(api_client.get(url + "?version=draft"))["machine"] != draft["machine"]
    problem(api_client.get(url + "?version=2"), 404)
    for bad in ("0", "-1", "latest", "1.5"):
        found = problem(api_client.get(url + f"?version={bad}"), 422)
        assert found["errors"][0]["path"] == "query.version"


def test_deleting_removes_everything_of_it(api_client):
    workflow_id = created(api_client, adder(id="again"))
    made(api_client.post(f"/workflows/{workflow_id}/publish"))
    assert api_client.delete(f"/workflows/{workflow_id}").status_code == 204
    for path in ("", "/versions", "/versions/1", "/asl", "/executions"):
        problem(api_client.get(f"/workflows/{workflow_id}{path}"), 404)
    problem(api_client.delete(f"/workflows/{workflow_id}"), 404)
    created(api_client, adder(id="again"))
    assert api_client.get("/workflows/again/versions").json()["items"] == []
    problem(api_client.get("/workflows/again/versions/1"), 404)


def test_a_workflow_with_a_run_that_goes_on_is_not_deleted(api_client):
    workflow_id = created(api_client, adder())
    run = made(api_client.post(f"/workflows/{workflow_id}/execute"))  # no state machine runs in this test
    found = problem(api_client.delete(f"/workflows/{workflow_id}"), 409, "workflow_has_runs")
    assert run["id"] in found["detail"]
    made(api_client.post(f"/workflows/executions/{run['id']}/cancel"))
    assert api_client.delete(f"/workflows/{workflow_id}").status_code == 204
    assert made(api_client.get(f"/workflows/executions/{run['id']}"))["status"] == "cancelled"


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


@pytest.mark.parametrize("tag", ['"x"', "1", '""', 'W/"', '"1", "2"'])
def test_an_etag_that_is_none(api_client, tag):
    url = f"/workflows/{created(api_client, adder())}"
    problem(api_client.patch(url, json={"name": "x"}, headers={"If-Match": tag}), 400, "bad_if_match")


@pytest.mark.parametrize(
    ("role", "allowed"),
    [("viewer", {"read"}), ("operator", {"read"}), ("editor", {"read", "write"})],
)
def test_roles(api_client, role, allowed):
    workflow_id = created(api_client, adder())
    key = made(api_client.post("/api-keys", json={"name": "k", "role": role}))["key"]
    calls = {
        "read": [
            ("GET", ""),
            ("GET", f"/{workflow_id}"),
            ("GET", f"/{workflow_id}/asl"),
            ("POST", f"/{workflow_id}/validate"),
        ],
        "write": [
            ("POST", f"/{workflow_id}/copy"),
            ("PATCH", f"/{workflow_id}"),
            ("POST", f"/{workflow_id}/publish"),
            ("POST", f"/{workflow_id}/unpublish"),
            ("DELETE", f"/{workflow_id}"),
        ],
    }
    with http_api.connect(key) as client:
        for kind, requests in calls.items():
            for method, path in requests:
                answer = client.request(method, f"/workflows{path}", json={} if method == "PATCH" else None)
                if kind in allowed:
                    assert answer.status_code in (200, 201, 204), answer.text
                else:
                    problem(answer, 403, "role")


def test_scopes(api_client):
    workflow_id = created(api_client, adder())
    body = {"name": "k", "role": "editor", "scopes": ["workflows:read", "executions:write"]}
    with http_api.connect(made(api_client.post("/api-keys", json=body))["key"]) as client:
        made(client.get(f"/workflows/{workflow_id}"))
        problem(client.patch(f"/workflows/{workflow_id}", json={}), 403, "scope")
        problem(client.get(f"/workflows/{workflow_id}/executions"), 403, "scope")
        made(client.post(f"/workflows/{workflow_id}/execute"))


def test_another_tenant_sees_nothing(api_client, other_client):
    workflow_id = created(api_client, adder())
    made(api_client.post(f"/workflows/{workflow_id}/publish"))
    assert other_client.get("/workflows").json() == {"items": [], "next_cursor": None}
    problem(other_client.put(f"/workflows/{workflow_id}", json=adder(name="Mine")), 404)
    problem(other_client.delete(f"/workflows/{workflow_id}"), 404)
    cursor_of_first = api_client.get("/workflows?limit=1").json()["next_cursor"]
    assert cursor_of_first is None
    created(api_client, adder())
    cursor = api_client.get("/workflows?limit=1").json()["next_cursor"]
    problem(other_client.get(f"/workflows?limit=1&cursor={cursor}"), 400, "bad_cursor")
    assert api_client.get(f"/workflows/{workflow_id}").json()["name"] == "Sample"
