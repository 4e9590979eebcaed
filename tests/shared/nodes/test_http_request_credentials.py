"""http_request signs in with credentials, also those whose tokens have to be fetched and run out."""

from __future__ import annotations

from typing import Any

import pytest

from shared.credentials.access import OpenCredentials
from shared.credentials.store import CredentialStore
from shared.nodes.base import NodeError
from shared.store.table import TenantTable
from tests.shared.credentials.keeping import keep
from tests.shared.nodes.calls import Keyring, Outside, execute
from tests.shared.nodes.http_server import Asked, Reply, Server, serving

SECRET = "s3cret-7391"


def with_key(server: Server, kind: str, values: dict[str, Any], path: str = "/x", **config: Any) -> dict[str, Any]:
    world = Outside(allowed_hosts=frozenset({server.host}), credentials=Keyring({"crm": (kind, values)}))
    return execute("http_request", {"credential": "crm", **config}, {"url": server.url + path}, world=world)


@pytest.mark.parametrize(
    ("kind", "values", "header", "sent"),
    [
        ("basic", {"username": "a", "password": "é"}, "authorization", "Basic YTrDqQ=="),
        ("bearer", {"token": "t"}, "authorization", "Bearer t"),
        ("api_key", {"name": "X-Key", "value": "k", "in": "header"}, "x-key", "k"),
    ],
)
def test_a_request_carries_the_credential(kind, values, header, sent):
    with serving([Reply({})]) as server:
        assert with_key(server, kind, values)["status"] == 200
    assert server.asked[0].headers[header] == sent


def test_a_key_in_the_query_stands_beside_what_is_there():
    with serving([Reply({})]) as server:
        with_key(server, "api_key", {"name": "key", "value": "a b", "in": "query"}, "/x?y=1")
    assert server.asked[0].path in ("/x?y=1&key=a+b", "/x?y=1&key=a%20b")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bearer", {"token": SECRET}),
        ("basic", {"username": "a", "password": SECRET}),
        ("api_key", {"name": "X-Key", "value": SECRET, "in": "header"}),
        ("api_key", {"name": "key", "value": SECRET, "in": "query"}),
    ],
)
def test_a_redirect_takes_it_to_no_other_host(kind, values):
    with serving([Reply({})]) as other, serving([Reply(b"", 302, {"Location": other.url + "/there"})]) as server:
        world = Outside(
            allowed_hosts=frozenset({server.host, other.host}), credentials=Keyring({"crm": (kind, values)})
        )
        execute("http_request", {"credential": "crm"}, {"url": server.url}, world=world)
    asked = other.asked[0]
    assert asked.path == "/there"
    assert "authorization" not in asked.headers
    assert "x-key" not in asked.headers
    assert SECRET not in repr(asked)


@pytest.mark.parametrize(
    ("keyring", "error"),
    [
        ({}, "CredentialNotFound"),
        ({"crm": ("postgres", {"password": SECRET})}, "WrongCredential"),
        ({"crm": ("secret", {"value": SECRET})}, "WrongCredential"),
        ({"crm": ("bearer", {"token": f"{SECRET}\r\nX: y"})}, "WrongCredential"),
        ({"crm": ("bearer", {"token": f"{SECRET}é"})}, "WrongCredential"),
        ({"crm": ("bearer", {"token": f"{SECRET} "})}, "WrongCredential"),
        ({"crm": ("api_key", {"name": "X-Key", "value": f" {SECRET}"})}, "WrongCredential"),
        ({"crm": ("api_key", {"name": "X Key", "value": SECRET})}, "WrongCredential"),
        ({"crm": ("api_key", {"name": "Host", "value": SECRET})}, "InvalidInput"),
        ({"crm": ("oauth2_client_credentials", {})}, "TokenRefused"),
    ],
)
def test_a_credential_that_cannot_be_used_is_named_and_not_quoted(keyring, error):
    with serving([Reply({})]) as server:
        world = Outside(allowed_hosts=frozenset({server.host}), credentials=Keyring(keyring))
        with pytest.raises(NodeError) as caught:
            execute("http_request", {"credential": "crm"}, {"url": server.url}, world=world)
    assert (caught.value.error, caught.value.retryable) == (error, False)
    assert SECRET not in str(caught.value)
    assert server.asked == []


class Service:
    """An API that takes only the newest token, and the token server that grants them."""

    def __init__(self, refuses: int = 0) -> None:
        self.granted = 0
        self.refuses = refuses

    def __call__(self, asked: Asked) -> Reply:
        if asked.path == "/token":
            self.granted += 1
            return Reply({"access_token": f"at-{self.granted}", "expires_in": 3600})
        good = asked.headers.get("authorization") == f"Bearer at-{self.granted}"
        if not good or self.refuses:
            self.refuses -= 1 if self.refuses else 0
            return Reply({}, 401)
        return Reply({"got": asked.body.decode()})


def request(tenant, server: Server, **inputs: Any) -> dict[str, Any]:
    hosts = frozenset({server.host})
    world = Outside(allowed_hosts=hosts, credentials=OpenCredentials(CredentialStore(TenantTable(tenant)), hosts))
    made = {"url": server.url + "/x", **inputs}
    return execute("http_request", {"credential": "crm", "method": "POST"}, made, world=world)


def oauth(tenant, server: Server) -> None:
    values = {"token_url": f"{server.url}/token", "client_id": "a", "client_secret": SECRET}
    keep(tenant, "crm", "oauth2_client_credentials", values)


def test_a_token_is_fetched_once_for_many_requests(tenant):
    service = Service()
    with serving(service) as server:
        oauth(tenant, server)
        for _ in range(3):
            assert request(tenant, server, body="hello")["response"] == {"got": "hello"}
    assert service.granted == 1


def test_a_token_that_is_refused_is_replaced_once_and_the_request_repeated(tenant):
    service = Service()
    with serving(service) as server:
        oauth(tenant, server)
        request(tenant, server, body="one")
        service.granted += 1  # the server forgets the first one
        assert request(tenant, server, body="two")["response"] == {"got": "two"}
        paths = [a.path for a in server.asked]
    assert paths == ["/token", "/x", "/x", "/token", "/x"]


def test_a_service_that_refuses_every_token_is_asked_twice(tenant):
    service = Service(refuses=99)
    with serving(service) as server:
        oauth(tenant, server)
        with pytest.raises(NodeError) as caught:
            request(tenant, server)
        assert (caught.value.error, service.granted) == ("HttpError", 2)
        assert "401" in caught.value.message


def test_a_plain_token_that_is_refused_is_not_tried_again():
    with serving([Reply({}, 401)]) as server:
        with pytest.raises(NodeError):
            with_key(server, "bearer", {"token": "t"})
        assert len(server.asked) == 1
