"""Workflows out of prompts, over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests import http_api
from tests.functions.api.test_webhooks import key_with
from tests.functions.api.workflows_over_http import adder, created, execute, made, problem
from tests.stepfunctions.agents import Model, scripted
from tests.stepfunctions.generator.said import OUT, START, adding, agent, answer, node

PROMPT = {"prompt": "Add one to a.", "model": {"model": "m"}, "wait_seconds": 25}
ASKING = [START, node("ask", "agent", {"agent": "new"}, {"input": "{{ trigger }}"}), OUT]


@pytest.fixture
def model(machines, monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    with scripted(monkeypatch) as served:
        says(served, adding())
        yield served


def says(model: Model, *answers: Any) -> None:
    model.scripts["m"] = [json.dumps(a) for a in answers]


def generated(client, **more: Any) -> dict[str, Any]:
    found = client.post("/workflows/generate", json={**PROMPT, **more})
    assert (found.status_code, found.json()["status"]) == (200, "done"), found.text
    return made(found)


def test_from_a_prompt_to_a_run(api_client, model):
    found = generated(api_client)
    assert (found["explanation"], found["repairs"], found["problems"]) == ("It works.", 0, [])
    assert api_client.get("/workflows").json()["items"] == []
    applied = api_client.post("/workflows/generate/apply", json={"generation_id": found["id"]})
    assert (applied.status_code, applied.headers["etag"]) == (201, '"1"')
    workflow = applied.json()["workflow"]
    assert (workflow["is_active"], workflow["latest_version"], applied.json()["agents_created"]) == (False, 0, [])
    assert applied.headers["location"] == f"/api/v1/workflows/{workflow['id']}"
    again = api_client.post("/workflows/generate/apply", json={"generation_id": found["id"]})
    assert (again.status_code, again.json()) == (200, applied.json())
    assert execute(api_client, workflow["id"], {"a": 41})["final_output"] == 42


def test_what_takes_longer_is_asked_for_again(api_client, other_client, model):
    says(model, answer([START, node("add", "adder"), OUT]), adding())
    going_on = threading.Event()
    model.while_asked = lambda: going_on.wait(20)
    begun = api_client.post("/workflows/generate", json={**PROMPT, "wait_seconds": 0})
    assert (begun.status_code, begun.json()["status"], begun.json()["workflow"]) == (202, "running", None)
    location = begun.headers["location"].removeprefix("/api/v1")
    assert location == f"/workflows/generations/{begun.json()['id']}"
    assert api_client.get(location).json()["status"] == "running"
    problem(other_client.get(location), 404)
    problem(other_client.post("/workflows/generate/apply", json={"generation_id": begun.json()["id"]}), 404)
    problem(api_client.post("/workflows/generate/apply", json={"generation_id": begun.json()["id"]}), 409, "not_done")
    going_on.set()
    found = api_client.get(location, params={"wait_seconds": 25}).json()
    assert (found["status"], found["repairs"]) == ("done", 1)


def test_a_draft_is_changed_under_its_etag(api_client, model):
    workflow_id = created(api_client, adder())
    problem(api_client.post("/workflows/generate", json={**PROMPT, "workflow_id": "nobody"}), 404)
    change = {**PROMPT, "workflow_id": workflow_id}
    problem(api_client.post("/workflows/generate", json=change, headers={"If-Match": '"2"'}), 412)
    found = generated(api_client, workflow_id=workflow_id)
    assert (found["revision"], [c["path"] for c in found["diff"]["about"]]) == (1, ["name", "description"])
    body = {"generation_id": found["id"]}
    other = {"If-Match": '"2"'}
    problem(api_client.post("/workflows/generate/apply", json=body, headers=other), 400, "two_revisions")
    assert api_client.patch(f"/workflows/{workflow_id}", json={"category": "sums"}).status_code == 200
    problem(api_client.post("/workflows/generate/apply", json=body), 412)
    fresh = generated(api_client, workflow_id=workflow_id)
    applied = api_client.post("/workflows/generate/apply", json={"generation_id": fresh["id"]})
    assert (applied.status_code, applied.headers["etag"], applied.json()["workflow"]["id"]) == (200, '"3"', workflow_id)


def test_what_was_edited_is_applied_as_it_is(api_client, model):
    says(model, answer(ASKING, "ask.output -> out.value", agents_to_create=[agent("new")]))
    found = generated(api_client)
    workflow = {**found["workflow"], "name": "Mine", "id": None}
    agents = [{**found["agents_to_create"][0], "instructions": "Be brief."}]
    body, once = {"workflow": workflow, "agents_to_create": agents}, {"Idempotency-Key": "k1"}
    first, again = (api_client.post("/workflows/generate/apply", json=body, headers=once) for _ in range(2))
    assert (first.status_code, first.json()["agents_created"]) == (201, ["new"])
    assert (again.json(), again.headers["idempotent-replay"]) == (first.json(), "true")
    assert api_client.get("/agents/new").json()["instructions"] == "Be brief."
    taken = problem(api_client.post("/workflows/generate/apply", json=body), 409, "name_taken")
    assert [e["path"] for e in taken["errors"]] == ["agents_to_create.0.name"]
    assert len(api_client.get("/workflows").json()["items"]) == 1


def test_a_change_that_was_edited_says_what_it_was_made_from(api_client, model):
    workflow_id = created(api_client, adder())
    body = {"workflow": {**adder(), "name": "Other"}, "workflow_id": workflow_id}
    problem(api_client.post("/workflows/generate/apply", json=body), 422)
    problem(api_client.post("/workflows/generate/apply", json={**body, "revision": 2}), 412)
    known = {"If-Match": '"1"'}
    assert api_client.post("/workflows/generate/apply", json=body, headers=known).status_code == 200
    assert api_client.get(f"/workflows/{workflow_id}").json()["name"] == "Other"


def test_what_cannot_be_done_says_so(api_client, model):
    says(model, answer(None, cannot="There is no fax."))
    found = api_client.post("/workflows/generate", json=PROMPT)
    assert (found.status_code, found.json()["status"]) == (200, "impossible")
    assert found.json()["error"] == {"error": "Impossible", "message": "There is no fax."}
    body = {"generation_id": found.json()["id"]}
    problem(api_client.post("/workflows/generate/apply", json=body), 409, "not_done")


def test_the_tenants_own_model(api_client, model):
    asked = {name: value for name, value in PROMPT.items() if name != "model"}
    problem(api_client.post("/workflows/generate", json=asked), 409, "no_assistant")
    assistant = {"assistant": {"provider": "openai", "model": "m"}}
    assert api_client.patch("/tenants/current", json=assistant).status_code == 200
    assert api_client.post("/workflows/generate", json=asked).json()["status"] == "done"


def test_the_same_idempotency_key_pays_once(api_client, model):
    once = {"Idempotency-Key": "k1"}
    first, again = (api_client.post("/workflows/generate", json=PROMPT, headers=once) for _ in range(2))
    assert (first.json(), again.headers["idempotent-replay"], len(model.asked)) == (again.json(), "true", 1)


def test_who_may(api_client, model):
    found = generated(api_client)
    for role, status in (("viewer", 403), ("operator", 403), ("editor", 200)):
        with http_api.connect(key_with(api_client, role)) as client:
            assert client.post("/workflows/generate", json=PROMPT).status_code == status
            assert client.get(f"/workflows/generations/{found['id']}").status_code == 200
    body = {"workflow": adder(), "agents_to_create": [{"name": "new", "model": {"model": "m"}}]}
    with http_api.connect(key_with(api_client, "editor", ("workflows:write",))) as client:
        problem(client.post("/workflows/generate/apply", json=body), 403, "scope")
        assert client.post("/workflows/generate/apply", json={"workflow": adder()}).status_code == 201
    with http_api.connect(key_with(api_client, "editor", ("workflows:write", "agents:write"))) as client:
        assert client.post("/workflows/generate/apply", json=body).status_code == 201


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"prompt": None}, 422),
        ({"prompt": ""}, 422),
        ({"prompt": "  \n"}, 422),
        ({"prompt": "x" * 20_001}, 422),
        ({"prompt": "\u0000"}, 422),
        ({"prompt": ["Add"]}, 422),
        ({"instructions": "x" * 10_001}, 422),
        ({"model": {"model": ""}}, 422),
        ({"model": {"provider": "nobody", "model": "m"}}, 422),
        ({"model": {"model": "m", "parameters": {"warmth": 3}}}, 422),
        ({"model": "m"}, 422),
        ({"workflow_id": "not an id"}, 422),
        ({"wait_seconds": 26}, 422),
        ({"wait_seconds": -1}, 422),
        ({"wait_seconds": "5"}, 422),
        ({"unknown": 1}, 422),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_requests(api_client, model, change, status):
    problem(api_client.post("/workflows/generate", json={**PROMPT, **change}), status)
    assert model.asked == []


AGENT = {"name": "new", "model": {"model": "m"}}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"generation_id": "gen_x"}, 404),
        ({"generation_id": ""}, 422),
        ({"generation_id": "gen_x", "workflow": adder()}, 422),
        ({"generation_id": "gen_x", "agents_to_create": [AGENT]}, 422),
        ({"generation_id": "gen_x", "revision": 1}, 422),
        ({"workflow": {"nodes": []}}, 422),
        ({"workflow": {**adder(), "unknown": 1}}, 422),
        ({"workflow": {**adder(), "id": "generate"}}, 422),
        ({"workflow": {**adder(), "id": "inner-generate"}}, 422),
        ({"workflow": adder(), "agents_to_create": [{"name": "new"}]}, 422),
        ({"workflow": adder(), "agents_to_create": [AGENT, AGENT]}, 422),
        ({"workflow": adder(), "agents_to_create": [{**AGENT, "name": f"a{n}"} for n in range(41)]}, 422),
        ({"workflow": adder(), "agents_to_create": [{**AGENT, "instructions": "x" * 50_001}]}, 422),
        ({"workflow": adder(), "workflow_id": "nobody", "revision": 1}, 404),
        ({"workflow": adder(), "revision": 0}, 422),
    ],
    ids=lambda value: str(value)[:50],
)
def test_bad_applications_make_nothing(api_client, body, status):
    problem(api_client.post("/workflows/generate/apply", json=body), status)
    assert api_client.get("/workflows").json()["items"] == []
    assert api_client.get("/agents").json()["items"] == []


@pytest.mark.parametrize("query", ["wait_seconds=26", "wait_seconds=-1", "wait_seconds=soon"])
def test_bad_waits(api_client, query):
    problem(api_client.get(f"/workflows/generations/gen_x?{query}"), 422)
