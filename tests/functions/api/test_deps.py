"""Credentials, rate limit, ETags, pages and Idempotency-Key, over HTTP."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.api.deps import DoOnce, Made
from shared import limits
from shared.errors import Invalid
from shared.members import api_keys, service
from shared.tenancy import Principal
from tests.conftest import PASSWORD
from tests.http_api import connect
from tests.jwks_server import claims_of, signed
from tests.shared.usage.allowing import allow


@pytest.fixture
def who(owner, tenant) -> Principal:
    return Principal(tenant, "user", owner.user.id, "owner", owner.user.id)


def _code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


# ---- credentials --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "Bearer  "])
def test_a_token_of_the_pool_is_taken(aws, owner, public_client, key_server, scheme):
    token = signed(claims_of(aws, owner.user.subject))
    answer = public_client.get("/tenants/current", headers={"Authorization": scheme + token})
    assert answer.json()["id"] == owner.tenant.id


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Bearer x.y.z"}, 401),
        ({"Authorization": "Basic dTpw"}, 401),
        ({"Authorization": "Bearer \u00ff"}, 401),
        ({"X-API-Key": ""}, 401),
        ({"X-API-Key": "x"}, 401),
        ({"X-API-Key": "\u00ff"}, 401),
        ({"X-API-Key": "sw_a_b_c"}, 401),
        ({"Authorization": "Bearer x", "X-API-Key": "x"}, 400),
        ({"Authorization": "", "X-API-Key": ""}, 400),
    ],
)
def test_bad_credentials(aws, public_client, key_server, headers, status):
    encoded = {k: v.encode() for k, v in headers.items()}
    answer = public_client.get("/tenants/current", headers=encoded)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_key_as_a_token_and_a_token_as_a_key_are_refused(aws, owner, public_client, key_server):
    token = signed(claims_of(aws, owner.user.subject))
    for headers in ({"Authorization": f"Bearer {owner.key_text}"}, {"X-API-Key": token}):
        assert public_client.get("/tenants/current", headers=headers).status_code == 401


def test_a_removed_users_token_is_out_at_once(aws, who, public_client, key_server):
    member, _ = service.invite(who, "b@first.example", "viewer", ())
    headers = {"Authorization": "Bearer " + signed(claims_of(aws, member.subject))}
    assert public_client.get("/tenants/current", headers=headers).status_code == 200
    service.remove_user(who, member.id, None)
    assert _code(public_client.get("/tenants/current", headers=headers)) == (401, "no_tenant")


def test_roles_and_scopes_bound_what_a_key_may_do(who):
    def call(role, scopes, method, path, **arguments):
        _, text = api_keys.create(who, "k", role, scopes, None)
        with connect(text) as client:
            answer = client.request(method, path, **arguments)
        return _code(answer) if answer.status_code >= 400 else (answer.status_code, "")

    name = {"json": {"name": "New"}}
    assert call("viewer", None, "GET", "/tenants/current") == (200, "")
    assert call("viewer", None, "PATCH", "/tenants/current", **name) == (403, "role")
    assert call("editor", None, "PATCH", "/tenants/current", **name) == (403, "role")
    assert call("admin", None, "PATCH", "/tenants/current", **name) == (200, "")
    assert call("admin", ("tenants:read",), "PATCH", "/tenants/current", **name) == (403, "scope")
    assert call("admin", ("tenants:*",), "PATCH", "/tenants/current", **name) == (200, "")
    assert call("admin", ("*",), "PATCH", "/tenants/current", **name) == (200, "")
    assert call("admin", ("users:read",), "GET", "/tenants/current") == (403, "scope")
    assert call("viewer", ("*",), "PATCH", "/tenants/current", **name) == (403, "role")


# ---- rate limit ---------------------------------------------------------------------------------------------------


def test_over_the_rate_is_429_with_retry_after(api_client, other_client, tenant):
    allow(tenant, requests_per_second=1)
    answers = [api_client.get("/tenants/current") for _ in range(25)]  # two windows are 20 at most
    refused = [a for a in answers if a.status_code == 429]
    assert refused
    assert {a.status_code for a in answers} == {200, 429}
    assert _code(refused[0]) == (429, "rate_limited")
    assert 1 <= int(refused[0].headers["retry-after"]) <= 10
    assert other_client.get("/tenants/current").status_code == 200


def test_sign_ups_of_one_address_are_limited(aws, monkeypatch):
    monkeypatch.setenv("SW_SIGNUPS_PER_HOUR", "1")
    limits.settings.cache_clear()
    bodies = [{"name": "A", "owner": {"email": f"a{n}@acme.example", "password": PASSWORD}} for n in range(4)]
    with connect(source_ip="192.0.2.7") as client, connect(source_ip="192.0.2.8") as elsewhere:
        answers = [client.post("/tenants", json=b) for b in bodies[:3]]
        assert answers[0].status_code == 201
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert elsewhere.post("/tenants", json=bodies[3]).status_code == 201


# ---- versions -----------------------------------------------------------------------------------------------------


def test_an_etag_guards_a_change(api_client):
    first = api_client.get("/tenants/current").headers["etag"]
    assert first == '"1"'
    changed = api_client.patch("/tenants/current", json={"name": "A"}, headers={"If-Match": first})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    stale = api_client.patch("/tenants/current", json={"name": "B"}, headers={"If-Match": first})
    assert _code(stale) == (412, "stale")
    assert api_client.get("/tenants/current").json()["name"] == "A"
    for good in ('W/"2"', "*", ' "4" '):
        answer = api_client.patch("/tenants/current", json={"name": "C"}, headers={"If-Match": good})
        assert answer.status_code == 200, good


@pytest.mark.parametrize("other", ['"x"', '""', '"-1"', '"' + "9" * 16 + '"', 'W/"x"', '"a,b"'])
def test_an_etag_of_nothing_that_is_there_is_stale(api_client, other):
    answer = api_client.patch("/tenants/current", json={"name": "A"}, headers={"If-Match": other})
    assert _code(answer) == (412, "stale")
    type_id = api_client.post("/user-types", json={"name": "A"}).json()["id"]
    assert _code(api_client.delete(f"/user-types/{type_id}", headers={"If-Match": other})) == (412, "stale")
    assert _code(api_client.delete("/user-types/ut_none", headers={"If-Match": other})) == (404, "not_found")


@pytest.mark.parametrize("bad", ["1", "'1'", '"1"x', "x", 'W/"', '"1" "2"', '"1", "2"', '"1",', '"a b"', "W/1"])
def test_an_etag_that_is_none_is_malformed(api_client, bad):
    answer = api_client.patch("/tenants/current", json={"name": "A"}, headers={"If-Match": bad})
    assert _code(answer) == (400, "bad_if_match")


# ---- pages --------------------------------------------------------------------------------------------------------


def test_pages(api_client):
    ids = [api_client.post("/user-types", json={"name": f"T{n}"}).json()["id"] for n in range(5)]
    seen, cursor, calls = [], None, 0
    while calls == 0 or cursor:
        page = api_client.get("/user-types", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [t["id"] for t in page["items"]]
        cursor = page["next_cursor"]
        calls += 1
    assert seen == sorted(ids)
    assert calls == 3


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "1.5", "", "9" * 400])
def test_a_limit_that_is_none_is_named(api_client, limit):
    answer = api_client.get("/user-types", params={"limit": limit})
    assert _code(answer) == (422, "invalid")
    assert answer.json()["errors"][0]["path"] == "query.limit"


def test_a_cursor_that_is_none_or_anothers_is_malformed(api_client, other_client):
    for n in range(2):
        api_client.post("/user-types", json={"name": f"T{n}"})
    cursor = api_client.get("/user-types?limit=1").json()["next_cursor"]
    assert _code(api_client.get("/user-types", params={"cursor": "x"})) == (400, "bad_cursor")
    assert _code(api_client.get("/users", params={"cursor": cursor})) == (400, "bad_cursor")
    assert _code(other_client.get("/user-types", params={"cursor": cursor})) == (400, "bad_cursor")
    assert api_client.get("/user-types", params={"cursor": "x" * 2049}).status_code == 422


# ---- Idempotency-Key ----------------------------------------------------------------------------------------------

KEY = {"Idempotency-Key": "key-1"}


def test_a_repeat_answers_alike_and_makes_nothing(api_client):
    first = api_client.post("/user-types", json={"name": "T"}, headers=KEY)
    again = api_client.post("/user-types", json={"name": "T"}, headers=KEY)
    assert (again.status_code, again.content, again.headers["etag"]) == (201, first.content, first.headers["etag"])
    assert "idempotent-replay" not in first.headers
    assert again.headers["idempotent-replay"] == "true"
    assert len(api_client.get("/user-types").json()["items"]) == 1


def test_a_secret_that_is_shown_once_is_shown_to_a_repeat_too(api_client):
    body = {"name": "k", "role": "viewer"}
    answers = [api_client.post("/api-keys", json=body, headers=KEY).json() for _ in range(2)]
    assert answers[0]["key"] == answers[1]["key"]


def test_a_key_belongs_to_one_request_of_one_caller(api_client, other_client, who):
    api_client.post("/user-types", json={"name": "T"}, headers=KEY)
    for answer in (
        api_client.post("/user-types", json={"name": "other"}, headers=KEY),
        api_client.post("/api-keys", json={"name": "T", "role": "viewer"}, headers=KEY),
    ):
        assert _code(answer) == (422, "idempotency_mismatch")
    assert other_client.post("/user-types", json={"name": "other"}, headers=KEY).status_code == 201
    with connect(api_keys.create(who, "k", "admin", None, None)[1]) as colleague:
        assert colleague.post("/user-types", json={"name": "another"}, headers=KEY).status_code == 201


def test_a_refused_request_does_not_use_up_its_key(api_client):
    body = {"email": "b@first.example", "user_types": ["ut_" + "0" * 26]}
    assert api_client.post("/users", json=body, headers=KEY).status_code == 422
    assert api_client.post("/users", json={"email": "b@first.example"}, headers=KEY).status_code == 201


@pytest.mark.parametrize("bad", ["", "a b", "x" * 256, "\u00fc"])
def test_a_key_that_is_none_is_malformed(api_client, bad):
    answer = api_client.post("/user-types", json={"name": "T"}, headers={"Idempotency-Key": bad.encode()})
    assert _code(answer) == (400, "bad_idempotency_key")


@pytest.mark.parametrize("body", [{"name": "ü", "items": [1]}, None])
@pytest.mark.parametrize("sent", [{"a": 1, "b": [None]}, None])
def test_a_route_may_pass_plain_values_or_no_body(who, sent, body):
    once = DoOnce("POST", "/things", "key-1")
    first = once(who, sent, lambda: Made(202, body))
    again = once(who, sent and dict(reversed(sent.items())), lambda: Made(500, None))
    assert (first.status_code, first.body) == (again.status_code, again.body) == (202, first.body)
    assert (json.loads(first.body) if body else first.body) == (body or b"")
    with pytest.raises(Invalid):
        once(who, {"a": 2}, lambda: Made(202, body))


def test_many_at_once_make_one(owner):
    def post(_: int) -> int:
        with connect(owner.key_text) as client:
            return client.post("/user-types", json={"name": "T"}, headers=KEY).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(post, range(8)))
    assert 201 in statuses
    assert statuses <= {201, 409}
    with connect(owner.key_text) as client:
        assert len(client.get("/user-types").json()["items"]) == 1
