"""What requests leave in the audit log, and who may read it."""

from __future__ import annotations

import json

import pytest

from shared.audit.store import AuditStore
from shared.store.table import TenantTable
from tests import http_api
from tests.functions.api.samples import made
from tests.functions.api.test_every_route import DOCUMENT
from tests.functions.api.workflows_over_http import adder, created


def log(client, query: str = "") -> list[dict]:
    return client.get(f"/audit-log?limit=200{query}").json()["items"]


def test_a_change_is_written_down_with_names_and_without_values(api_client, owner):
    secret = {"name": "crm", "kind": "bearer", "values": {"token": "hush-hush"}, "description": "Of Ada"}
    made(api_client.post("/credentials", json=secret))
    api_client.patch("/credentials/crm", json={"values": {"token": "hush-hush-2"}})
    user = made(api_client.post("/users", json={"email": "ada@first.example"}))["id"]
    api_client.delete(f"/users/{user}")
    found = log(api_client)
    told = [(e["action"], e["resource"]["type"], e["resource"]["id"]) for e in reversed(found)]
    assert told == [
        ("tenants_sign_up", "tenants", owner.tenant.id),
        ("credentials_create", "credentials", "crm"),
        ("credentials_change", "credentials", "crm"),
        ("users_invite", "users", user),
        ("users_remove", "users", user),
    ]
    assert found[3]["details"] == {"fields": ["description", "kind", "name", "values"]}
    assert found[0]["actor"] == {"kind": "api_key", "id": owner.key.id, "user": owner.user.id}
    assert [e["n"] for e in found] == [5, 4, 3, 2, 1]
    assert not any(word in json.dumps(found) for word in ("hush", "Ada", "ada@", "@first"))


def test_actions_are_operations_of_the_document(api_client):
    workflow_id = created(api_client, adder())
    api_client.post(f"/workflows/{workflow_id}/publish")
    api_client.patch("/tenants/current", json={"name": "New"})
    made(api_client.post("/user-types", json={"name": "x"}))
    known = {o["operationId"] for operations in DOCUMENT["paths"].values() for o in operations.values()}
    actions = {e["action"] for e in log(api_client)}
    assert {"workflows_create", "workflows_publish", "user_types_create"} <= actions <= known


def test_what_changes_nothing_leaves_nothing(api_client, owner):
    workflow_id = created(api_client, adder())
    api_client.post(f"/workflows/{workflow_id}/publish")
    before = len(log(api_client))
    once = {"Idempotency-Key": "k1"}
    api_client.get("/users")
    api_client.post("/workflows/validate", json=adder())
    api_client.post(f"/workflows/{workflow_id}/validate")
    api_client.post(f"/workflows/{workflow_id}/execute")
    api_client.post("/user-types", json={"name": ""})
    api_client.delete("/user-types/ut_none")
    api_client.post("/auth/token", json={"email": "owner@first.example", "password": "wrong"})
    assert len(log(api_client)) == before
    for _ in range(3):
        made(api_client.post("/user-types", json={"name": "x"}, headers=once))
    assert len(log(api_client)) == before + 1


def test_filters_pages_and_the_check(api_client, other_client, owner):
    for n in range(5):
        made(api_client.post("/user-types", json={"name": f"t{n}"}))
    assert len(log(api_client, "&action=user_types_create")) == 5
    assert len(log(api_client, f"&actor={owner.user.id}")) == 6
    assert log(api_client, "&resource_type=users") == []
    assert log(api_client, "&from=2099-01-01T00:00:00Z") == []
    assert len(log(api_client, "&to=2099-01-01T00:00:00Z")) == 6
    page = api_client.get("/audit-log?limit=4").json()
    rest = api_client.get(f"/audit-log?limit=4&cursor={page['next_cursor']}").json()
    assert [e["n"] for e in (*page["items"], *rest["items"])] == [6, 5, 4, 3, 2, 1]
    part = api_client.get("/audit-log/verify?limit=4").json()
    assert (part["ok"], part["checked"], part["next_after"]) == (True, 4, 4)
    whole = api_client.get("/audit-log/verify").json()
    assert whole == {**part, "checked": 6, "up_to": 6, "next_after": None}
    assert whole["head"] == {"n": 6, "hash": page["items"][0]["hash"]}
    assert [e["action"] for e in log(other_client)] == ["tenants_sign_up"]
    assert other_client.get(f"/audit-log?limit=4&cursor={page['next_cursor']}").status_code == 400
    assert api_client.get("/audit-log/verify?after=7").status_code == 404


@pytest.mark.parametrize("query", ["limit=0", "actor=", "from=yesterday", "cursor=x", "action=" + "x" * 201])
def test_bad_questions(api_client, query):
    assert api_client.get(f"/audit-log?{query}").status_code in (400, 422)


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=1001", "after=9999999999999"])
def test_bad_checks(api_client, query):
    assert api_client.get(f"/audit-log/verify?{query}").status_code == 422


@pytest.mark.parametrize(
    ("role", "scopes", "status"),
    [
        ("editor", None, 403),
        ("admin", None, 200),
        ("admin", ["audit_log:read"], 200),
        ("admin", ["users:read"], 403),
    ],
)
def test_who_may_read(api_client, role, scopes, status):
    body = {"name": "k", "role": role, **({"scopes": scopes} if scopes else {})}
    key = api_client.post("/api-keys", json=body).json()["key"]
    with http_api.connect(key) as client:
        assert client.get("/audit-log").status_code == status
        assert client.get("/audit-log/verify").status_code == status


def test_a_change_that_could_not_be_written_down_stands_and_is_said_in_the_log(api_client, monkeypatch, capsys):
    def down(*_):
        raise RuntimeError("hush")

    monkeypatch.setattr(AuditStore, "append", down)
    assert api_client.post("/user-types", json={"name": "x"}).status_code == 201
    told = capsys.readouterr().out
    assert "entry_lost" in told
    assert "hush" not in told


def test_the_inbox_is_empty_once_the_log_was_read(api_client, tenant):
    made(api_client.post("/user-types", json={"name": "x"}))
    store = AuditStore(TenantTable(tenant))
    assert len(store.inbox(10)) == 2
    log(api_client)
    assert store.inbox(10) == []
