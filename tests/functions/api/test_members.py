"""Tenants, users, user types, API keys and signing in, over HTTP: what they answer, and what bad input gets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import PASSWORD
from tests.http_api import connect


def _sign_up(**changes: Any) -> dict[str, Any]:
    return {"name": "Acme", "owner": {"email": "a@acme.example", "password": PASSWORD}} | changes


def test_signing_up_gives_what_one_needs(public_client):
    answer = public_client.post("/tenants", json=_sign_up(name="  Acme GmbH "))
    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {"tenant", "user", "api_key"}
    assert (body["tenant"]["name"], body["user"]["role"], body["user"]["email"]) == (
        "Acme GmbH",
        "owner",
        "a@acme.example",
    )
    assert body["tenant"]["id"].startswith("t")
    assert PASSWORD not in answer.text
    assert "hash" not in answer.text
    with connect(body["api_key"]["key"]) as client:
        assert client.get("/tenants/current").json() == body["tenant"]


def test_a_taken_address_is_a_conflict_however_it_is_spelled(public_client):
    assert public_client.post("/tenants", json=_sign_up()).status_code == 201
    again = _sign_up(owner={"email": " A@ACME.example ", "password": PASSWORD})
    answer = public_client.post("/tenants", json=again)
    assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")


def test_signing_in_refreshing_and_a_temporary_password(api_client, public_client, owner):
    tokens = public_client.post("/auth/token", json={"email": "owner@first.example", "password": PASSWORD})
    assert tokens.headers["cache-control"] == "no-store"
    assert set(tokens.json()) == {"access_token", "id_token", "refresh_token", "expires_in", "token_type"}
    refreshed = public_client.post("/auth/refresh", json={"refresh_token": tokens.json()["refresh_token"]})
    assert refreshed.json()["access_token"]
    assert refreshed.json()["refresh_token"] is None

    user = api_client.post("/users", json={"email": "b@first.example"}).json()
    body = {"email": "b@first.example", "password": user["temporary_password"]}
    first = public_client.post("/auth/token", json=body)
    assert (first.status_code, first.json()["code"]) == (409, "password_change_required")
    assert public_client.post("/auth/token", json=body | {"new_password": "Another-horse-8"}).status_code == 200


@pytest.mark.parametrize("email", ["owner@first.example", "nobody@first.example"])
def test_a_wrong_password_and_an_unknown_address_look_alike(public_client, owner, email):
    answer = public_client.post("/auth/token", json={"email": email, "password": "Wrong-horse-1"})
    assert (answer.status_code, answer.json()["code"]) == (401, "bad_credentials")
    assert answer.json()["detail"] == "unknown e-mail address or wrong password"


def test_users_come_and_go(api_client):
    kind = api_client.post("/user-types", json={"name": "Customer"}).json()
    invited = api_client.post("/users", json={"email": "b@first.example", "role": "editor", "user_types": [kind["id"]]})
    assert invited.status_code == 201
    user = invited.json()
    assert user.pop("temporary_password")
    read = api_client.get(f"/users/{user['id']}")
    assert (read.json(), read.headers["etag"]) == (user, '"1"')
    assert "temporary_password" not in api_client.get("/users").text
    changed = api_client.patch(f"/users/{user['id']}", json={"role": "viewer"}, headers={"If-Match": '"1"'})
    assert (changed.json()["role"], changed.json()["user_types"], changed.headers["etag"]) == (
        "viewer",
        [kind["id"]],
        '"2"',
    )
    stale = api_client.delete(f"/users/{user['id']}", headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    gone = api_client.delete(f"/users/{user['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert api_client.get(f"/users/{user['id']}").status_code == 404


def test_the_last_owner_stays(api_client, owner):
    for answer in (
        api_client.delete(f"/users/{owner.user.id}"),
        api_client.patch(f"/users/{owner.user.id}", json={"role": "viewer"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "last_owner")


def test_user_types_come_and_go(api_client):
    made = api_client.post("/user-types", json={"name": "Customer", "description": "buys\nthings"})
    path = f"/user-types/{made.json()['id']}"
    assert api_client.get(path).json() == made.json()
    assert (
        api_client.patch(path, json={"name": "Client"}, headers={"If-Match": made.headers["etag"]}).status_code == 200
    )
    assert api_client.patch(path, json={"name": "X"}, headers={"If-Match": made.headers["etag"]}).status_code == 412
    assert api_client.get(path).json()["description"] == "buys\nthings"
    assert api_client.delete(path).status_code == 204
    assert api_client.delete(path).status_code == 404


def test_a_key_is_shown_once_and_ends_when_revoked(api_client):
    made = api_client.post(
        "/api-keys",
        json={"name": "CI", "role": "operator", "scopes": ["tenants:read"], "expires_at": "2999-01-01T00:00:00+02:00"},
    )
    assert made.status_code == 201
    body = made.json()
    assert body["expires_at"] == "2998-12-31T22:00:00.000Z"
    secret = body["key"].split("_")[3]
    for text in (api_client.get("/api-keys").text, api_client.get(f"/api-keys/{body['id']}").text):
        assert body["id"] in text
        assert secret not in text
        assert "hash" not in text
    with connect(body["key"]) as client:
        assert client.get("/tenants/current").status_code == 200
        assert api_client.delete(f"/api-keys/{body['id']}").status_code == 204
        assert client.get("/tenants/current").status_code == 401


# ---- bad input ----------------------------------------------------------------------------------------------------

OWNER = {"email": "a@acme.example", "password": PASSWORD}
# method, path, body, the field that the problem must name
BAD_BODIES = [
    ("POST", "/tenants", _sign_up(name=""), "name"),
    ("POST", "/tenants", _sign_up(name="   "), "name"),
    ("POST", "/tenants", _sign_up(name="x" * 201), "name"),
    ("POST", "/tenants", _sign_up(name="a\nb"), "name"),
    ("POST", "/tenants", _sign_up(name="a\x00b"), "name"),
    ("POST", "/tenants", _sign_up(name=5), "name"),
    ("POST", "/tenants", _sign_up(nmae="x"), "nmae"),
    ("POST", "/tenants", {"name": "Acme"}, "owner"),
    ("POST", "/tenants", _sign_up(owner=[]), "owner"),
    ("POST", "/tenants", _sign_up(owner=OWNER | {"role": "owner"}), "owner.role"),
    ("POST", "/tenants", _sign_up(owner={"email": "a@acme.example"}), "owner.password"),
    *(
        ("POST", "/tenants", _sign_up(owner=OWNER | {"email": email}), "owner.email")
        for email in ("", "a", "a@b", "a b@c.de", "@c.de", "a@c..de", "a@@c.de", "a\x00@c.de", "a" * 65 + "@c.de", 5)
    ),
    ("POST", "/tenants", _sign_up(owner=OWNER | {"email": "a@" + "c." * 70 + "de"}), "owner.email"),
    *(
        ("POST", "/tenants", _sign_up(owner=OWNER | {"password": password}), "owner.password")
        for password in ("", "Short-1", "nouppercase-1234", "x" * 257, "Correct-horse-7\x00", None)
    ),
    ("PATCH", "/tenants/current", {"name": None}, "name"),
    ("PATCH", "/tenants/current", {"assistant": {"provider": "nobody", "model": "m"}}, "assistant.provider"),
    ("PATCH", "/tenants/current", {"assistant": {"provider": "openai"}}, "assistant.model"),
    ("PATCH", "/tenants/current", {"name": "x", "rate_limit": 10**6}, "rate_limit"),
    ("PATCH", "/tenants/current", {"name": "x", "id": "t"}, "id"),
    ("POST", "/users", {}, "email"),
    ("POST", "/users", {"email": "b@c.de", "role": "god"}, "role"),
    ("POST", "/users", {"email": "b@c.de", "role": None}, "role"),
    ("POST", "/users", {"email": "b@c.de", "user_types": "ut"}, "user_types"),
    ("POST", "/users", {"email": "b@c.de", "user_types": ["x"]}, "user_types.0"),
    ("POST", "/users", {"email": "b@c.de", "user_types": ["ut_" + "0" * 26]}, "user_types.0"),
    ("POST", "/users", {"email": "b@c.de", "user_types": ["ut_" + "0" * 26] * 21}, "user_types"),
    ("POST", "/users", {"email": "b@c.de", "password": "x"}, "password"),
    ("POST", "/user-types", {}, "name"),
    ("POST", "/user-types", {"name": "x", "description": "y" * 2001}, "description"),
    ("POST", "/user-types", {"name": "x", "description": "\x00"}, "description"),
    ("POST", "/api-keys", {"name": "x"}, "role"),
    ("POST", "/api-keys", {"name": "x", "role": "viewer", "scopes": []}, "scopes"),
    ("POST", "/api-keys", {"name": "x", "role": "viewer", "scopes": ["runs"]}, "scopes.0"),
    ("POST", "/api-keys", {"name": "x", "role": "viewer", "scopes": ["runs:read", "Runs:read"]}, "scopes.1"),
    ("POST", "/api-keys", {"name": "x", "role": "viewer", "scopes": ["runs:delete"]}, "scopes.0"),
    *(
        ("POST", "/api-keys", {"name": "x", "role": "viewer", "expires_at": moment}, "expires_at")
        for moment in (
            "",
            "tomorrow",
            "2020-01-01T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
            5,
            "2999-13-01",
            [],
            "9" * 99,
        )
    ),
    ("POST", "/auth/token", {"email": "a@acme.example"}, "password"),
    ("POST", "/auth/token", {"email": "a", "password": "x"}, "email"),
    ("POST", "/auth/token", {"email": "a@acme.example", "password": "x" * 257}, "password"),
    ("POST", "/auth/token", {"email": "a@acme.example", "password": "x", "new_password": "y"}, "new_password"),
    ("POST", "/auth/refresh", {"refresh_token": ""}, "refresh_token"),
    *(("POST", "/auth/refresh", {"refresh_token": token}, "refresh_token") for token in ("x" * 4097, "\u00fc", "\x00")),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"), BAD_BODIES, ids=lambda v: str(v)[:60].encode("unicode_escape").decode()
)
def test_bad_bodies_get_a_problem_that_names_the_field(api_client, public_client, method, path, body, field):
    client = public_client if path in ("/tenants", "/auth/token", "/auth/refresh") else api_client
    answer = client.request(method, path, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in [e["path"] for e in answer.json()["errors"]]
