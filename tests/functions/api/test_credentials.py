"""Credentials over HTTP: values go in, are used, and never come out."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shared.aws import kms
from shared.credentials import checks, service
from shared.credentials.store import CredentialStore
from shared.errors import Unavailable
from shared.settings import settings
from shared.store.table import TenantTable
from tests.http_api import connect
from tests.shared.credentials.keeping import everything_stored
from tests.shared.nodes.http_server import Asked, Reply, serving

SECRET = "s3cret-7391"
BEARER = {"name": "crm", "kind": "bearer", "values": {"token": SECRET}}
POSTGRES = {"host": "db.example", "database": "wares", "username": "clerk", "password": SECRET}


@pytest.fixture
def reach(monkeypatch):
    def allow(*hosts: str) -> None:
        monkeypatch.setenv("SW_ALLOWED_HOSTS", ",".join(hosts))
        settings.cache_clear()

    return allow


def make(client, **more: Any) -> dict[str, Any]:
    answer = client.post("/credentials", json=BEARER | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_life_without_a_value_in_any_answer(api_client, tenant, capfd):
    made = api_client.post("/credentials", json=BEARER | {"description": "Of the CRM"})
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    assert made.json() == {
        "name": "crm",
        "kind": "bearer",
        "description": "Of the CRM",
        "fields": ["token"],
        "created_at": made.json()["created_at"],
        "updated_at": made.json()["created_at"],
        "rotated_at": made.json()["created_at"],
        "tested_at": None,
        "test_error": None,
    }
    rotated = api_client.patch("/credentials/crm", json={"values": {"token": SECRET + "b"}})
    assert rotated.headers["etag"] == '"2"'
    assert rotated.json()["rotated_at"] >= made.json()["rotated_at"]
    answers = [made, rotated, api_client.get("/credentials"), api_client.get("/credentials/crm")]
    assert CredentialStore(TenantTable(tenant)).open("crm").values == {"token": SECRET + "b"}
    answers.append(api_client.delete("/credentials/crm"))
    assert answers[-1].status_code == 204
    assert api_client.get("/credentials/crm").status_code == 404
    assert not [a for a in answers if SECRET in a.text + str(a.headers)]
    assert SECRET not in everything_stored()
    assert SECRET not in "".join(capfd.readouterr())


def test_a_change_of_some_values_keeps_the_others(api_client, tenant):
    make(api_client, name="shop", kind="postgres", values=POSTGRES | {"port": 5433})
    changed = api_client.patch("/credentials/shop", json={"values": {"password": "new", "port": None}}).json()
    assert changed["fields"] == ["database", "host", "password", "username"]
    assert CredentialStore(TenantTable(tenant)).open("shop").values == POSTGRES | {
        "password": "new",
        "port": 5432,
        "tls": "verify",
    }
    for values in ({"password": None}, {"nothing": "x"}, {"port": 0}):
        answer = api_client.patch("/credentials/shop", json={"values": values})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), values


def test_a_description_changes_without_a_rotation(api_client):
    made = make(api_client)
    changed = api_client.patch("/credentials/crm", json={"description": "New"}).json()
    assert (changed["description"], changed["rotated_at"]) == ("New", made["rotated_at"])
    assert api_client.patch("/credentials/crm", json={}).json() == changed


def test_of_two_who_rotate_at_once_the_second_is_told(api_client):
    make(api_client)
    for value, status in (("one", 200), ("two", 412)):
        answer = api_client.patch("/credentials/crm", json={"values": {"token": value}}, headers={"If-Match": '"1"'})
        assert answer.status_code == status
    assert api_client.delete("/credentials/crm", headers={"If-Match": '"1"'}).status_code == 412
    assert api_client.patch("/credentials/crm", json={"values": {"token": "three"}}).status_code == 200


def test_a_rotation_meets_one_that_is_being_written(api_client, tenant, monkeypatch):
    """Between reading and writing somebody else writes: theirs is read again and kept where ours says nothing."""
    make(api_client, name="shop", kind="postgres", values=POSTGRES)
    rotate, others = CredentialStore.rotate, [{"username": "other"}]

    def meet(self, before, after):
        if others:
            assert service.change(principal, "shop", others.pop(), None, None)
        return rotate(self, before, after)

    principal = type("Caller", (), {"tenant": tenant})()
    monkeypatch.setattr(CredentialStore, "rotate", meet)
    assert api_client.patch("/credentials/shop", json={"values": {"password": "new"}}).status_code == 200
    values = CredentialStore(TenantTable(tenant)).open("shop").values
    assert (values["username"], values["password"]) == ("other", "new")


BAD = [
    ({}, 422),
    ({"name": "crm", "kind": "bearer"}, 422),
    (BEARER | {"name": "Bad Name"}, 422),
    (BEARER | {"name": "a" * 65}, 422),
    (BEARER | {"name": "kinds"}, 422),
    (BEARER | {"kind": "password"}, 422),
    (BEARER | {"kind": 5}, 422),
    (BEARER | {"values": {}}, 422),
    (BEARER | {"values": {"token": SECRET, "more": SECRET}}, 422),
    (BEARER | {"values": {"token": [SECRET]}}, 422),
    (BEARER | {"values": [SECRET]}, 422),
    (BEARER | {"values": SECRET}, 422),
    (BEARER | {"values": {"token": SECRET * 1000}}, 422),
    (BEARER | {"extra": SECRET}, 422),
    (BEARER | {"description": SECRET * 1000}, 422),
]


@pytest.mark.parametrize(("body", "status"), BAD)
def test_bad_bodies_are_refused_without_being_quoted(api_client, body, status, capfd):
    answer = api_client.post("/credentials", json=body, headers={"Idempotency-Key": "k"})
    assert answer.status_code == status, answer.text
    assert answer.json()["errors"] or answer.json()["code"] == "unknown_kind"
    assert SECRET not in answer.text + everything_stored() + "".join(capfd.readouterr())


def test_a_name_is_taken_once(api_client, other_client):
    make(api_client)
    answer = api_client.post("/credentials", json=BEARER)
    assert (answer.status_code, answer.json()["code"]) == (409, "credential_taken")
    make(other_client)


def test_there_are_only_so_many(api_client, monkeypatch):
    monkeypatch.setattr(service, "MAX_CREDENTIALS", 2)
    make(api_client, name="a")
    make(api_client, name="b")
    answer = api_client.post("/credentials", json=BEARER)
    assert (answer.status_code, answer.json()["code"]) == (409, "quota_exceeded")


def test_a_repeat_is_answered_as_the_first_and_keeps_no_value(api_client):
    headers = {"Idempotency-Key": "once"}
    first = api_client.post("/credentials", json=BEARER, headers=headers)
    again = api_client.post("/credentials", json=BEARER, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replay"] == "true"
    other = api_client.post("/credentials", json=BEARER | {"values": {"token": "other"}}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert SECRET not in everything_stored()


def test_roles_and_scopes(api_client):
    make(api_client)

    def key(**more: Any):
        return connect(api_client.post("/api-keys", json={"name": "k", **more}).json()["key"])

    with key(role="viewer") as viewer, key(role="operator") as operator, key(role="editor") as editor:
        for reader in (viewer, operator):
            assert reader.get("/credentials/crm").status_code == 200
            assert reader.get("/credentials/kinds").status_code == 200
            assert reader.post("/credentials", json=BEARER | {"name": "x"}).status_code == 403
            assert reader.patch("/credentials/crm", json={"description": "x"}).status_code == 403
            assert reader.delete("/credentials/crm").status_code == 403
            assert reader.post("/credentials/crm/test").status_code == 403
        make(editor, name="theirs")
        assert editor.delete("/credentials/theirs").status_code == 204
    with key(role="editor", scopes=["credentials:read"]) as reads, key(role="editor", scopes=["files:*"]) as nothing:
        assert reads.get("/credentials").status_code == 200
        assert reads.post("/credentials", json=BEARER | {"name": "x"}).status_code == 403
        assert nothing.get("/credentials").status_code == 403


def test_kinds_are_schemas_for_forms(api_client):
    kinds = {k["kind"]: k for k in api_client.get("/credentials/kinds").json()["items"]}
    assert kinds["bearer"]["values_schema"]["required"] == ["token"]
    assert kinds["bearer"]["test_url"]
    assert not kinds["postgres"]["test_url"]


def test_a_busy_key_service_is_worth_another_try(api_client, monkeypatch):
    def busy(*_args, **_more):
        raise Unavailable("the key service cannot be reached; try again")

    monkeypatch.setattr(kms, "data_key", busy)
    answer = api_client.post("/credentials", json=BEARER, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    monkeypatch.undo()
    assert api_client.post("/credentials", json=BEARER, headers={"Idempotency-Key": "k"}).status_code == 201


def guarded(asked: Asked) -> Reply:
    good = asked.headers.get("authorization") == f"Bearer {SECRET}"
    return Reply({}, 200 if good else 401)


def test_a_token_is_tried_at_an_address(api_client, reach):
    make(api_client)
    make(api_client, name="wrong", values={"token": "wrong-7391"})
    with serving(guarded) as server:
        reach(server.host)
        good = api_client.post("/credentials/crm/test", json={"url": server.url}).json()
        bad = api_client.post("/credentials/wrong/test", json={"url": server.url}).json()
    assert (good["outcome"], bad["outcome"]) == ("ok", "failed")
    assert bad["message"] == "127.0.0.1 refuses it: 401 Unauthorized"
    assert api_client.get("/credentials/crm").json()["tested_at"] == good["tested_at"]
    assert api_client.get("/credentials/wrong").json()["test_error"] == bad["message"]
    api_client.patch("/credentials/wrong", json={"values": {"token": SECRET}})
    rotated = api_client.get("/credentials/wrong").json()
    assert (rotated["tested_at"], rotated["test_error"]) == (None, None)


@pytest.mark.parametrize(
    ("kind", "values", "sent"),
    [
        ("basic", {"username": "a", "password": "b"}, ("/x?y=1", "authorization", "Basic YTpi")),
        ("api_key", {"name": "X-Key", "value": "k"}, ("/x?y=1", "x-key", "k")),
        ("api_key", {"name": "key", "value": "k v", "in": "query"}, ("/x?y=1&key=k+v", "host", None)),
    ],
)
def test_the_other_kinds_for_http_are_tried_likewise(api_client, reach, kind, values, sent):
    make(api_client, kind=kind, values=values)
    with serving([Reply()]) as server:
        reach(server.host)
        assert api_client.post("/credentials/crm/test", json={"url": server.url + "/x?y=1"}).json()["outcome"] == "ok"
    path, header, value = sent
    assert server.asked[0].path in (path, path.replace("+", "%20"))
    assert value is None or server.asked[0].headers[header] == value


@pytest.mark.parametrize(
    ("made", "outcome", "says"),
    [
        (BEARER, "not_tried", "give the url"),
        ({"kind": "secret", "values": {"value": SECRET}}, "not_tried", "nothing to try it at"),
        ({"kind": "notification", "values": {"url": f"slack://{SECRET}"}}, "not_tried", "send a message"),
        ({"kind": "smtp", "values": {"host": "127.0.0.1", "from": "a@b.example"}}, "failed", "public internet"),
        (
            {
                "kind": "oauth2_client_credentials",
                "values": {"token_url": "http://10.0.0.1/", "client_id": "a", "client_secret": SECRET},
            },
            "failed",
            "public internet",
        ),
    ],
)
def test_what_cannot_be_tried_or_reached_is_said(api_client, made, outcome, says):
    make(api_client, **{k: v for k, v in made.items() if k != "name"})
    answer = api_client.post("/credentials/crm/test").json()
    assert (answer["outcome"], answer["tested_at"] is None) == (outcome, outcome == "not_tried")
    assert says in answer["message"]
    assert SECRET not in json.dumps(answer)


def test_private_addresses_and_bad_ones_are_refused(api_client):
    make(api_client)
    for url in ("http://127.0.0.1:1/", "http://[::ffff:127.0.0.1]/", "http://2130706433/", "http://0177.0.0.1/"):
        answer = api_client.post("/credentials/crm/test", json={"url": url}).json()
        assert answer["outcome"] == "failed", url
    for body in ({"url": "ftp://x"}, {"url": 5}, {"uri": "http://x"}):
        assert api_client.post("/credentials/crm/test", json=body).status_code == 422
    make(api_client, name="other", kind="secret", values={"value": SECRET})
    answer = api_client.post("/credentials/other/test", json={"url": "https://example.com"})
    assert (answer.status_code, answer.json()["code"]) == (422, "no_url")


def test_oauth_is_tried_by_fetching_a_token_and_keeps_what_comes(api_client, tenant, reach):
    reply = Reply({"access_token": "at-7391", "refresh_token": "rt-7391-2", "expires_in": 60})
    with serving([reply]) as server:
        reach(server.host)
        values = {"token_url": server.url, "client_id": "me", "refresh_token": "rt-7391-1"}
        make(api_client, kind="oauth2_refresh_token", values=values)
        answer = api_client.post("/credentials/crm/test").json()
    assert (answer["outcome"], answer["message"]) == ("ok", "it works")
    assert CredentialStore(TenantTable(tenant)).open("crm").values["refresh_token"] == "rt-7391-2"
    assert "7391" not in everything_stored()


def test_a_credential_that_is_rotated_while_it_is_tested_has_not_been_tested(api_client, tenant, reach):
    make(api_client)

    def rotate(_asked: Asked) -> Reply:
        api_client.patch("/credentials/crm", json={"values": {"token": "other"}})
        return Reply()

    with serving(rotate) as server:
        reach(server.host)
        answer = api_client.post("/credentials/crm/test", json={"url": server.url})
    assert answer.status_code == 409
    assert api_client.get("/credentials/crm").json()["tested_at"] is None


def test_a_drivers_own_words_are_not_shown(api_client, monkeypatch):
    make(api_client)

    async def broken(*_args, **_more):
        raise RuntimeError(f"cannot reach postgres://clerk:{SECRET}@db")

    monkeypatch.setattr(checks.import_module(f"{checks.__name__}.bearer"), "check", broken)
    answer = api_client.post("/credentials/crm/test")
    assert answer.json()["message"] == "the connection failed (RuntimeError)"


class _Mail(socketserver.StreamRequestHandler):
    """A mail server that takes one user name and password, without TLS."""

    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        for line in self.rfile:
            word = line.split()[0].upper() if line.split() else b""
            if word == b"EHLO":
                self.wfile.write(b"250-here\r\n250 AUTH PLAIN\r\n")
            elif word == b"AUTH":
                self.wfile.write(b"235 in\r\n" if line.split()[2] == b"AGEAYg==" else b"535 no s3cret-7391\r\n")
            elif word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")


@contextmanager
def mail_server() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("values", "outcome", "says"),
    [
        ({"username": "a", "password": "b"}, "ok", "it works"),
        ({}, "ok", "it works"),
        ({"username": "a", "password": SECRET}, "failed", "refuses this user name and password (535)"),
        ({"username": "a", "password": "b", "tls": "starttls"}, "failed", "no STARTTLS"),
        ({"username": "a", "password": "b", "tls": "tls"}, "failed", "failed (SSLError)"),
    ],
)
def test_a_mail_server_is_signed_in_at(api_client, reach, values, outcome, says):
    with mail_server() as port:
        reach(f"127.0.0.1:{port}")
        whole = {"host": "127.0.0.1", "port": port, "from": "a@b.example", "tls": "off", **values}
        make(api_client, kind="smtp", values=whole)
        answer = api_client.post("/credentials/crm/test").json()
    assert (answer["outcome"], says in answer["message"]) == (outcome, True), answer
    assert SECRET not in answer["message"]
