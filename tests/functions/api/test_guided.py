"""Templates, permissions and instances over HTTP, without any model: what is accepted, and who may."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from shared.guided.model import Said
from shared.guided.store import InstanceStore
from shared.store.table import TenantTable
from tests import triggered
from tests.stepfunctions.guided_talk import SCHEMA, body, template

Json = dict[str, Any]
STEP = {"name": "address", "title": "Address", "fields": {"street": {"type": "string"}, "city": {"type": "string"}}}


# --- templates -----------------------------------------------------------------------------------------------------


def test_a_template_is_made_read_changed_and_removed(api_client, claim):
    assert (claim["version"], claim["confirm"], claim["end_action_type"]) == (1, True, "none")
    again = api_client.post("/workflow-templates", json=template())
    assert (again.status_code, again.json()["code"]) == (409, "name_taken")
    read = api_client.get("/workflow-templates/claim")
    assert read.json() == claim
    sent = {**claim, "guidelines": "Be brief."}
    changed = api_client.put("/workflow-templates/claim", json=sent, headers={"If-Match": read.headers["etag"]})
    assert (changed.json()["version"], changed.headers["etag"]) == (2, '"2"')
    assert api_client.put("/workflow-templates/claim", json=sent).json()["version"] == 2  # nothing has changed
    stale = api_client.put("/workflow-templates/claim", json=claim, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    versions = api_client.get("/workflow-templates/claim/versions").json()["items"]
    assert [v["version"] for v in versions] == [2, 1]
    first = api_client.get("/workflow-templates/claim/versions/1").json()["document"]
    assert first["guidelines"] == "Be kind."
    assert api_client.delete("/workflow-templates/claim").status_code == 204
    assert api_client.get("/workflow-templates/claim").status_code == 404


def test_lists_are_filtered(api_client, claim):
    body(api_client.post("/workflow-templates", json=template(name="old", category="medical", is_active=False)), 201)

    def names(query: str) -> list[str]:
        return [t["name"] for t in api_client.get(f"/workflow-templates?{query}").json()["items"]]

    assert names("") == ["claim", "old"]
    assert names("category=medical") == ["old"]
    assert names("is_active=true") == ["claim"]
    assert names("category=medical&is_active=true") == []
    refused = api_client.post("/workflow-instances", json={"template": "old"})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_active")


def changed(path: str, value: Any) -> Json:
    made = copy.deepcopy(template())
    *way, last = path.split(".")
    place: Any = made
    for word in way:
        place = place[int(word)] if isinstance(place, list) else place[word]
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return made


BAD: list[tuple[str, Any, str]] = [
    ("steps", [], "steps"),
    ("steps.0.id", "what", "steps.1.id"),
    ("steps.0.id", "1 2", "steps.0.id"),
    ("steps.0.name", "", "steps.0.name"),
    ("steps.0.fields", ["nothing"], "steps.0.fields.0"),
    ("steps.0.fields", [], "steps.0.fields"),
    ("steps.0.required", False, "state_schema.required"),
    ("steps.2.when", "state.(", "steps.2.when"),
    ("steps.0.rules", [{"expression": ":=", "message": "m"}], "steps.0.rules.0.expression"),
    ("steps.0.rules", [{"expression": "true"}], "steps.0.rules.0.message"),
    ("steps.0.uses", {"step": "nothing"}, "steps.0.uses"),
    ("state_schema", {"type": "array"}, "state_schema"),
    ("state_schema", {"type": "object", "properties": {}}, "state_schema"),
    ("state_schema.properties.name", {"type": "strin"}, "state_schema.properties.name.type"),
    ("state_schema.properties.name", {"$ref": "https://example.com/s"}, "state_schema"),
    ("state_schema.required", ["nothing"], "state_schema.required"),
    ("end_action_type", "workflow", "end_action_target"),
    ("end_action_type", "email", "end_action_type"),
    ("end_action_target", "x", "end_action_target"),
    ("end_action_credential", "x", "end_action_credential"),
    ("expires_in_seconds", 1, "expires_in_seconds"),
    ("name", "Not a name", "name"),
    ("confirm", "yes", "confirm"),
    ("more", 1, "more"),
]


@pytest.mark.parametrize(("path", "value", "where"), BAD, ids=lambda v: str(v)[:40])
def test_a_template_that_cannot_work_is_refused(api_client, path, value, where):
    refused = api_client.post("/workflow-templates", json=changed(path, value))
    assert refused.status_code == 422, refused.text
    assert any(e["path"].removeprefix("body.").startswith(where) for e in refused.json()["errors"]), refused.text
    assert api_client.get("/workflow-templates").json()["items"] == []


@pytest.mark.parametrize(
    ("kind", "target", "why"),
    [
        ("workflow", "wf_nothing", "there is no workflow"),
        ("workflow", "x" * 1_500, "there is no workflow"),
        ("tool_call", "nothing", "there is no tool"),
        ("tool_call", "{{x}}", "there is no tool"),
        ("api_call", "ftp://example.com", "address"),
        ("api_call", "https://", "address"),
        ("api_call", "https://user:pass@example.com/", "address"),
        ("api_call", "https://example.com/{{trigger.x}}", "address"),
    ],
)
def test_a_target_that_is_not_there_is_refused(api_client, kind, target, why):
    refused = api_client.post("/workflow-templates", json=template(end_action_type=kind, end_action_target=target))
    assert refused.status_code == 422, refused.text
    (problem,) = [e for e in refused.json()["errors"] if e["path"] == "end_action_target"]
    assert why in problem["message"]


def test_a_workflow_as_target_is_published_and_starts_by_hand(api_client):
    workflow = triggered.create(api_client, triggered.document(triggered.webhook()))
    sent = template(end_action_type="workflow", end_action_target=workflow)
    assert "not published" in api_client.post("/workflow-templates", json=sent).text
    triggered.publish(api_client, workflow)
    assert "manual trigger" in api_client.post("/workflow-templates", json=sent).text
    manual = {"id": "start", "type": "manual_trigger"}
    triggered.republish(api_client, workflow, triggered.document(triggered.webhook(), manual))
    assert api_client.post("/workflow-templates", json=sent).status_code == 201


def test_steps_are_copied_from_their_definition_by_version(api_client):
    rule = {"expression": "$length(state.city) > 1", "message": "which city?"}
    body(api_client.post("/workflow-steps", json={**STEP, "rules": [rule]}), 201)
    wanted = template(steps=[*template()["steps"], {"id": "where", "uses": {"step": "address"}}])
    made = body(api_client.post("/workflow-templates", json=wanted), 201)
    step = made["steps"][-1]
    assert (step["name"], step["fields"], step["rules"]) == ("Address", ["street", "city"], [rule])
    assert step["uses"] == {"step": "address", "version": 1}
    assert made["state_schema"]["properties"]["street"] == {"type": "string"}
    fields = {"street": {"type": "string"}, "zip": {"type": "string"}}
    assert api_client.put("/workflow-steps/address", json={**STEP, "fields": fields}).json()["version"] == 2
    assert api_client.get("/workflow-templates/claim").json() == made  # it keeps what it has copied
    newer = template(name="newer", steps=[*template()["steps"], {"id": "where", "uses": {"step": "address"}}])
    assert body(api_client.post("/workflow-templates", json=newer), 201)["steps"][-1]["fields"] == ["street", "zip"]
    bad = {**STEP, "name": "bad", "fields": {"a": {"type": "x"}}, "when": "("}
    refused = api_client.post("/workflow-steps", json=bad)
    assert {e["path"] for e in refused.json()["errors"]} == {"fields.a.type", "when"}
    assert [s["title"] for s in api_client.get("/workflow-steps").json()["items"]] == ["Address"]
    assert api_client.delete("/workflow-steps/address").status_code == 204


def test_instances_are_pinned_to_the_version_they_began_with(api_client, claim):
    old = body(api_client.post("/workflow-instances", json={"template": "claim"}), 201)
    steps = [{"id": "all", "name": "All", "fields": ["name", "amount"]}]
    assert api_client.put("/workflow-templates/claim", json=template(steps=steps)).json()["version"] == 2
    new = body(api_client.post("/workflow-instances", json={"template": "claim"}), 201)
    assert [i["template_version"] for i in (old, new)] == [1, 2]
    assert [len(i["steps"]) for i in (old, new)] == [4, 1]
    assert len(api_client.get(f"/workflow-instances/{old['id']}").json()["steps"]) == 4
    refused = api_client.delete("/workflow-templates/claim")
    assert (refused.status_code, refused.json()["code"]) == (409, "template_in_use")
    for made in (old, new):
        assert api_client.post(f"/workflow-instances/{made['id']}/cancel").status_code == 200
    assert api_client.delete("/workflow-templates/claim").status_code == 204
    assert api_client.get(f"/workflow-instances/{old['id']}").json()["status"] == "cancelled"


# --- instances -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, 422),
        ({"template": "nothing"}, 404),
        ({"template": "claim", "conversation_id": ""}, 422),
        ({"template": "claim", "conversation_id": "a b"}, 422),
        ({"template": "claim", "state": {"amount": "x"}}, 422),
        ({"template": "claim", "state": {"nothing": 1}}, 422),
        ({"template": "claim", "state": []}, 422),
        ({"template": "claim", "more": 1}, 422),
    ],
)
def test_what_cannot_begin(api_client, claim, sent, status):
    refused = api_client.post("/workflow-instances", json=sent)
    assert refused.status_code == status, refused.text
    assert api_client.get("/workflow-instances").json()["items"] == []


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"content": ""},
        {"content": " \n"},
        {"content": "x" * 8_001},
        {"content": 1},
        {"content": "x", "wait_seconds": 26},
        {"content": "x", "wait_seconds": -1},
        {"content": "x", "documents": [{"name": "a"}]},
        {"content": "x", "documents": [{"name": "a", "content": "c"}] * 4},
        {"content": "x", "role": "assistant"},
    ],
)
def test_messages_that_are_none(api_client, claim, sent):
    made = body(api_client.post("/workflow-instances", json={"template": "claim"}), 201)["id"]
    assert api_client.post(f"/workflow-instances/{made}/messages", json=sent).status_code == 422
    assert api_client.get(f"/workflow-instances/{made}/messages").json()["items"] == []


def test_a_conversation_has_an_end(api_client, claim, tenant):
    from dataclasses import replace

    made = body(api_client.post("/workflow-instances", json={"template": "claim"}), 201)["id"]
    store = InstanceStore(TenantTable(tenant))
    before = store.get(made)
    store.save(before, replace(before, messages=400, version=2), [Said(399, "assistant", "Hm", "assistant", 1)])
    refused = api_client.post(f"/workflow-instances/{made}/messages", json={"content": "Hello", "wait_seconds": 0})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_long")


def test_what_nobody_goes_on_with_expires(api_client, tenant, monkeypatch):
    from shared import clock
    from stepfunctions import guided_progress, reconcile

    body(api_client.post("/workflow-templates", json=template(expires_in_seconds=60)), 201)
    made = body(api_client.post("/workflow-instances", json={"template": "claim", "conversation_id": "c"}), 201)["id"]
    later = clock.now_ms() + 61_000
    monkeypatch.setattr(guided_progress, "now_ms", lambda: later)
    monkeypatch.setattr(reconcile, "now_ms", lambda: later)
    assert reconcile.sweep(lambda: 60.0).get("expired") == 1
    found = api_client.get(f"/workflow-instances/{made}").json()
    assert (found["status"], found["reason"]) == ("cancelled", "expired")
    counted = api_client.get("/workflow-templates/claim/analytics").json()
    assert {n: counted[n] for n in ("started", "active", "cancelled", "expired", "completion_rate")} == {
        "started": 1,
        "active": 0,
        "cancelled": 1,
        "expired": 1,
        "completion_rate": 0.0,
    }
    assert counted["steps"] == [{"step": "who", "reached": 1, "left": 1}]
    assert reconcile.sweep(lambda: 60.0).get("expired") is None
    assert api_client.post("/workflow-instances", json={"template": "claim", "conversation_id": "c"}).status_code == 201


def test_analytics_of_days(api_client, claim):
    whole = {"name": "Ada", "amount": 7, "damaged": False, "email": "ada@example.org"}
    made = body(api_client.post("/workflow-instances", json={"template": "claim", "state": whole}), 201)
    done = api_client.post(f"/workflow-instances/{made['id']}/confirm", json={})
    assert done.json()["status"] == "completed"
    (counted,) = api_client.get("/workflow-instances/analytics").json()["items"]
    assert (counted["template"], counted["completed"], counted["completion_rate"]) == ("claim", 1, 1.0)
    assert counted["median_seconds"] == 1
    past = api_client.get("/workflow-templates/claim/analytics?from=2020-01-01&to=2020-12-31").json()
    assert (past["started"], past["completion_rate"], past["median_seconds"]) == (0, None, None)
    for bad in ("from=yesterday", "to=2020-13-01", "from=2020-1-1"):
        assert api_client.get(f"/workflow-templates/claim/analytics?{bad}").status_code == 422
    assert SCHEMA["required"] == ["name", "amount"]
