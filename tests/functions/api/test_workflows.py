"""Workflows over HTTP: drafts, and who may do what to them."""

from __future__ import annotations

import pytest

from shared.workflows.model import WorkflowSettings
from tests import http_api
from tests.functions.api.workflows_over_http import adder, created, made, problem


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
    assert patched["settings"] == WorkflowSettings(timeout_seconds=60).model_dump()
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
