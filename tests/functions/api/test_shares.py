"""Links that lead to a workflow: what they show, to whom, until when."""

from __future__ import annotations

import pytest

from shared import clock, limits
from shared.clock import iso, now_ms
from shared.store.table import TenantTable
from tests import http_api
from tests.functions.api.workflows_over_http import adder, created, made

DAY = 86_400_000


def shared(client, workflow_id, **body):
    return made(client.post(f"/workflows/{workflow_id}/share", json=body))


def opened(public_client, link, status=200):
    answer = public_client.get(f"/shared/{link['token']}")
    assert answer.status_code == status, answer.text
    return answer.json()


def gone(client, link):
    problem = opened(client, link, 404)
    assert problem["detail"] == "there is no such link, or no longer"


def test_a_link_shows_the_document_and_nothing_of_whose_it_is(api_client, public_client, owner):
    workflow_id = created(api_client, adder(id="adder"))
    answer = api_client.post(f"/workflows/{workflow_id}/share")
    link = made(answer)
    assert (link["rights"], link["version"], len(link["token"])) == ("view", None, 43)
    assert link["path"] == f"/api/v1/shared/{link['token']}"
    answer = public_client.get(f"/shared/{link['token']}")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    found = answer.json()
    assert found["document"]["nodes"] == made(api_client.get(f"/workflows/{workflow_id}"))["nodes"]
    assert (found["rights"], found["format"], found["expires_at"]) == (
        "view",
        "statewright/workflow",
        link["expires_at"],
    )
    for secret in (owner.tenant.id, owner.user.id, owner.user.email, owner.key_text):
        assert secret not in answer.text


def test_the_token_is_kept_nowhere(api_client, tenant):
    workflow_id = created(api_client, adder())
    link = shared(api_client, workflow_id)
    listed = made(api_client.get(f"/workflows/{workflow_id}/share"))["items"]
    assert [item["id"] for item in listed] == [link["id"]]
    assert "token" not in listed[0]
    table = TenantTable(tenant)
    assert link["token"] not in str(list(table.query_all(table.keys.shares(workflow_id))))


def test_a_link_to_a_version_shows_that(api_client, public_client):
    workflow_id = created(api_client, adder(name="One"))
    newest, draft = shared(api_client, workflow_id), shared(api_client, workflow_id, version="draft")
    made(api_client.post(f"/workflows/{workflow_id}/publish"))
    first = shared(api_client, workflow_id, version=1)
    assert (first["version"], draft["version"]) == (1, "draft")
    made(api_client.patch(f"/workflows/{workflow_id}", json={"name": "Two"}))
    names = [opened(public_client, link)["document"]["name"] for link in (newest, draft, first)]
    assert names == ["One", "Two", "One"]
    made(api_client.post(f"/workflows/{workflow_id}/publish"))
    assert opened(public_client, newest)["document"]["name"] == "Two"
    assert opened(public_client, first)["version"] == 1


def test_a_revoked_link_leads_nowhere(api_client, public_client, other_client):
    workflow_id = created(api_client, adder())
    one, two, three = (shared(api_client, workflow_id, rights="copy") for _ in range(3))
    assert api_client.delete(f"/workflows/{workflow_id}/share/{one['id']}").status_code == 204
    gone(public_client, one)
    assert other_client.post(f"/shared/{one['token']}/copy").status_code == 404
    opened(public_client, two)
    assert api_client.delete(f"/workflows/{workflow_id}/share/{one['id']}").status_code == 404
    assert api_client.delete(f"/workflows/{workflow_id}/share").status_code == 204
    gone(public_client, two)
    gone(public_client, three)
    assert made(api_client.get(f"/workflows/{workflow_id}/share"))["items"] == []


def test_an_expired_link_leads_nowhere(api_client, public_client, other_client, monkeypatch):
    workflow_id = created(api_client, adder())
    link = shared(api_client, workflow_id, rights="copy", expires_at=iso(now_ms() + DAY))
    opened(public_client, link)
    later = now_ms() + DAY
    monkeypatch.setattr("shared.shares.service.now_ms", lambda: later)
    gone(public_client, link)
    assert other_client.post(f"/shared/{link['token']}/copy").status_code == 404
    assert made(api_client.get(f"/workflows/{workflow_id}/share"))["items"] == []


def test_a_link_does_not_outlive_its_workflow(api_client, public_client):
    workflow_id = created(api_client, adder(id="mine"))
    link = shared(api_client, workflow_id)
    assert api_client.delete(f"/workflows/{workflow_id}").status_code == 204
    gone(public_client, link)
    later = clock.now_ms() + 5
    while clock.now_ms() < later:
        pass
    created(api_client, adder(id="mine"))  # another one of that id, which nobody has shared
    gone(public_client, link)


def test_another_tenant_copies_what_it_may(api_client, other_client):
    workflow_id = created(api_client, adder(id="adder"))
    view, copy = shared(api_client, workflow_id), shared(api_client, workflow_id, rights="copy")
    refused = other_client.post(f"/shared/{view['token']}/copy")
    assert (refused.status_code, refused.json()["code"]) == (403, "rights")
    once = {"headers": {"Idempotency-Key": "k"}}
    mine = made(other_client.post(f"/shared/{copy['token']}/copy", **once))
    assert made(other_client.post(f"/shared/{copy['token']}/copy", **once)) == mine
    assert (mine["origin"], mine["problems"]) == ({"kind": "share"}, [])
    assert made(other_client.get(f"/workflows/{mine['id']}"))["nodes"] == mine["nodes"]
    assert other_client.get("/workflows/adder").status_code == 404
    assert api_client.get(f"/workflows/{mine['id']}").status_code == 404


def test_who_only_reads_neither_shares_nor_copies(api_client):
    workflow_id = created(api_client, adder())
    link = shared(api_client, workflow_id, rights="copy")
    key = made(api_client.post("/api-keys", json={"name": "Reader", "role": "viewer"}))["key"]
    with http_api.connect(key) as reader:
        assert reader.post(f"/workflows/{workflow_id}/share").status_code == 403
        assert reader.delete(f"/workflows/{workflow_id}/share").status_code == 403
        assert reader.post(f"/shared/{link['token']}/copy").status_code == 403
        assert made(reader.get(f"/workflows/{workflow_id}/share"))["items"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"rights": "run"}, 422),
        ({"version": 0}, 422),
        ({"version": "1"}, 422),
        ({"version": 7}, 404),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422),
        ({"expires_at": "2199-01-01T00:00:00Z"}, 422),
        ({"expires_at": "tomorrow"}, 422),
        ({"more": 1}, 422),
    ],
)
def test_odd_links_are_refused(api_client, body, status):
    workflow_id = created(api_client, adder())
    assert api_client.post(f"/workflows/{workflow_id}/share", json=body).status_code == status
    assert made(api_client.get(f"/workflows/{workflow_id}/share"))["items"] == []


@pytest.mark.parametrize("token", ["x", "A" * 43, "A" * 42 + "%00", "%ED%A0%80", "x" * 3_000, "T%23t%23WFS"])
def test_tokens_that_are_none(public_client, token):
    assert public_client.get(f"/shared/{token}").status_code == 404


def test_what_holds_a_secret_is_not_shown(api_client, public_client):
    workflow = created(api_client, adder())
    token = made(api_client.post(f"/workflows/{workflow}/share"))["token"]
    assert public_client.get(f"/shared/{token}").status_code == 200
    asks = {"id": "ask", "type": "http_request", "config": {"headers": {"Authorization": "Bearer of-mine"}}}
    variables = {"key": "sk-abcdefghijklmnopqrstuvwx"}
    for changes, path in (({"variables": variables}, "variables.key"), ({"nodes": [asks], "connections": []}, "nodes")):
        assert api_client.patch(f"/workflows/{workflow}", json=changes).status_code == 200
        assert public_client.get(f"/shared/{token}").status_code == 404
        refused = api_client.post(f"/workflows/{workflow}/share")
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["path"].startswith(path)
        assert "sk-" not in refused.text
        api_client.patch(f"/workflows/{workflow}", json={"variables": {"key": None}})


def test_a_workflow_has_so_many_links_and_no_more(api_client, monkeypatch):
    monkeypatch.setattr("shared.shares.service.MAX_LINKS", 2)
    workflow_id = created(api_client, adder())
    for _ in range(2):
        shared(api_client, workflow_id)
    refused = api_client.post(f"/workflows/{workflow_id}/share")
    assert (refused.status_code, refused.json()["code"]) == (413, "too_many")


def test_an_address_that_tries_many_is_slowed_down(public_client, monkeypatch):
    monkeypatch.setattr(limits, "SHARED_LINKS_PER_HOUR", 3)
    answers = [public_client.get("/shared/" + "A" * 43).status_code for _ in range(4)]
    assert answers == [404, 404, 404, 429]
