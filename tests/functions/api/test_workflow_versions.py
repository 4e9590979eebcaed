"""Workflows over HTTP: versions, the state machine, deletion."""

from __future__ import annotations

import json

from tests import triggered
from tests.functions.api.workflows_over_http import adder, asker, created, made, node, problem, workflow
from tests.shared.triggers.overtaking import busy, meanwhile


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


def test_a_deletion_that_fails_half_way_is_done_by_a_repeat(api_client):
    workflow_id = created(api_client, triggered.document(triggered.webhook(), triggered.schedule()))
    hook = triggered.publish(api_client, workflow_id)["hook"]
    url, known = f"/workflows/{workflow_id}", {"If-Match": api_client.get(f"/workflows/{workflow_id}").headers["ETag"]}
    meanwhile("before-call.scheduler.DeleteSchedule", busy)
    problem(api_client.delete(url, headers=known), 503, "triggers_incomplete")
    assert not made(api_client.get(url))["is_active"]
    assert triggered.outside().post(hook["url"].removeprefix("http://api.test")).status_code == 404
    problem(api_client.patch(url, json={"name": "Autosaved"}), 409, "being_deleted")
    problem(api_client.post(f"{url}/publish"), 409, "being_deleted")
    problem(api_client.post(f"{url}/execute"), 409, "being_deleted")
    assert api_client.delete(url, headers=known).status_code == 204
    problem(api_client.get(url), 404)
    for triggers in ("webhooks", "schedules"):
        assert made(api_client.get(f"/{triggers}"))["items"] == []


def test_a_workflow_with_a_run_that_goes_on_is_not_deleted(api_client):
    workflow_id = created(api_client, adder())
    run = made(api_client.post(f"/workflows/{workflow_id}/execute"))  # no state machine runs in this test
    found = problem(api_client.delete(f"/workflows/{workflow_id}"), 409, "workflow_has_runs")
    assert run["id"] in found["detail"]
    made(api_client.post(f"/workflows/executions/{run['id']}/cancel"))
    assert api_client.delete(f"/workflows/{workflow_id}").status_code == 204
    assert made(api_client.get(f"/workflows/executions/{run['id']}"))["status"] == "cancelled"
