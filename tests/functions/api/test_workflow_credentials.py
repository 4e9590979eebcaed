"""A workflow that names credentials: what validate and publish say of those that are not there, or of another kind."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functions.api.workflows_over_http import created, node, workflow

SECRET = "s3cret-7391"


def document(config: Any = None, inputs: Any = None, **fields: Any) -> dict[str, Any]:
    nodes = [
        node("start", "manual_trigger"),
        node("call", "http_request", config, inputs={"url": "https://x.example", **(inputs or {})}, **fields),
        node("out", "output"),
    ]
    return workflow(nodes, "start.trigger -> call.body; call.response -> out.value")


def keep(client: Any, name: str, kind: str, values: dict[str, Any]) -> None:
    assert client.post("/credentials", json={"name": name, "kind": kind, "values": values}).status_code == 201


READS = {"headers": {"X-Key": "{{ secrets.crm }}"}}
CASES = [
    ({"credential": "crm"}, {}, None, "unknown_credential", "nodes.call.config.credential"),
    ({"credential": "crm"}, {}, ("secret", {"value": SECRET}), "wrong_credential", "nodes.call.config.credential"),
    ({}, READS, None, "unknown_credential", "nodes.call.inputs.headers"),
    ({}, READS, ("bearer", {"token": SECRET}), "wrong_credential", "nodes.call.inputs.headers"),
]


@pytest.mark.parametrize(("config", "inputs", "kept", "code", "path"), CASES)
def test_what_is_missing_is_a_warning_and_then_an_error(api_client, other_client, config, inputs, kept, code, path):
    keep(other_client, "crm", "bearer", {"token": SECRET})
    keep(other_client, "more", "secret", {"value": SECRET})
    if kept:
        keep(api_client, "crm", *kept)
    made = document(config, inputs)
    workflow_id = created(api_client, made)
    for answer in (
        api_client.post("/workflows/validate", json=made),
        api_client.post(f"/workflows/{workflow_id}/validate"),
    ):
        assert answer.json()["valid"]
        found = [(p["code"], p["path"], p["node_id"], p["severity"]) for p in answer.json()["problems"]]
        assert found == [(code, path, "call", "warning")]
    refused = api_client.post(f"/workflows/{workflow_id}/publish")
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_workflow")
    assert [(e["code"], e["path"]) for e in refused.json()["errors"]] == [(code, path)]
    assert SECRET not in refused.text


def test_what_is_there_is_no_problem_also_when_it_is_deleted_later(api_client):
    keep(
        api_client,
        "crm",
        "oauth2_client_credentials",
        {"token_url": "https://x.example", "client_id": "a", "client_secret": SECRET},
    )
    keep(api_client, "key", "secret", {"value": SECRET})
    workflow_id = created(api_client, document({"credential": "crm"}, {"headers": {"X": "{{ secrets.key }}"}}))
    assert api_client.post(f"/workflows/{workflow_id}/validate").json()["problems"] == []
    assert api_client.post(f"/workflows/{workflow_id}/publish").status_code == 200
    assert api_client.delete("/credentials/crm").status_code == 204
    problems = api_client.post(f"/workflows/{workflow_id}/validate").json()["problems"]
    assert [p["code"] for p in problems] == ["unknown_credential"]


def test_every_problem_is_said_at_once(api_client):
    made = document({"credential": "crm", "method": "NO"})
    refused = api_client.post(f"/workflows/{created(api_client, made)}/publish").json()
    assert {e["code"] for e in refused["errors"]} == {"invalid_config", "unknown_credential"}


def test_a_disabled_node_needs_none(api_client):
    made = document({"credential": "crm"}, disabled=True)
    assert api_client.post(f"/workflows/{created(api_client, made)}/publish").status_code == 200


@pytest.mark.parametrize(
    ("auth", "warned"),
    [
        ({"type": "bearer", "token": SECRET}, ["nodes.call.config.auth.token"]),
        ({"type": "basic", "username": "me", "password": SECRET}, ["nodes.call.config.auth.password"]),
        ({"type": "api_key", "name": "X-Key", "value": SECRET}, ["nodes.call.config.auth.value"]),
        ({"type": "bearer", "token": "{{ trigger.token }}"}, []),
    ],
)
def test_a_secret_that_is_typed_in_is_warned_of(api_client, auth, warned):
    answer = api_client.post("/workflows/validate", json=document({"auth": auth})).json()
    assert answer["valid"]
    assert [p["path"] for p in answer["problems"] if p["code"] == "typed_secret"] == warned
    assert SECRET not in str(answer["problems"])


@pytest.mark.parametrize("odd", ["", "{{ trigger.c }}", 5, None, ["crm"], {"a": "crm"}, "Not A Name", "x" * 5000])
def test_odd_names_are_problems_of_the_config_and_nothing_worse(api_client, odd):
    answer = api_client.post("/workflows/validate", json=document({"credential": odd}))
    assert answer.status_code == 200
    assert "invalid_config" in {p["code"] for p in answer.json()["problems"]}
