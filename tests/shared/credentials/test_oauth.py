"""Access tokens from a real token server on loopback: fetched once, kept encrypted, never lost."""

from __future__ import annotations

import asyncio
import base64
import threading
from contextlib import closing, suppress
from urllib.parse import parse_qs

import pytest

from shared.clock import now_ms
from shared.credentials import oauth, sealing, token_server
from shared.credentials.access import OpenCredentials
from shared.credentials.model import Lease
from shared.credentials.store import CredentialStore
from shared.credentials.token_server import TokenRefused, fetched
from shared.errors import Invalid, NotFound, Unavailable
from shared.store.table import TenantTable
from tests.shared.credentials.keeping import everything_stored, keep
from tests.shared.nodes.http_server import Asked, Reply, Server, serving

CLIENT = {"client_id": "me & you", "client_secret": "s3cret:/7391"}


def numbered(**more):
    """Grants token 1, token 2, …"""
    given = []

    def answer(asked: Asked) -> Reply:
        given.append(asked)
        return Reply({"access_token": f"at-7391-{len(given)}", "token_type": "Bearer", "expires_in": 3600, **more})

    return answer


def token(tenant, server: Server, name: str = "crm", stale: str | None = None) -> str:
    return asyncio.run(
        OpenCredentials(CredentialStore(TenantTable(tenant)), frozenset({server.host})).access_token(name, stale)
    )


def client_credentials(tenant, server: Server, **more) -> CredentialStore:
    return keep(tenant, "crm", "oauth2_client_credentials", {"token_url": f"{server.url}/token", **CLIENT, **more})


def refreshing(tenant, server: Server, **more) -> CredentialStore:
    values = {"token_url": f"{server.url}/token", **CLIENT, "refresh_token": "rt-7391-0", **more}
    return keep(tenant, "crm", "oauth2_refresh_token", values)


def test_client_credentials_are_sent_as_the_standard_says_and_the_token_is_kept(tenant):
    with serving(numbered()) as server:
        client_credentials(tenant, server, scope="read write", audience="https://api.example")
        assert [token(tenant, server) for _ in range(3)] == ["at-7391-1"] * 3
        assert len(server.asked) == 1
        asked = server.asked[0]
    pair = base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")).decode()
    assert (asked.method, asked.path, pair) == ("POST", "/token", "me+%26+you:s3cret%3A%2F7391")
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["read write"],
        "audience": ["https://api.example"],
    }
    assert "7391" not in everything_stored()


def test_a_client_may_sign_in_by_the_body(tenant):
    with serving(numbered()) as server:
        client_credentials(tenant, server, client_auth="body")
        token(tenant, server)
        asked = server.asked[0]
    assert "authorization" not in asked.headers
    sent = {k: v[0] for k, v in parse_qs(asked.body.decode()).items()}
    assert sent == {"grant_type": "client_credentials"} | CLIENT


def test_a_stale_token_is_replaced_once_for_all_that_found_it_stale(tenant):
    with serving(numbered()) as server:
        client_credentials(tenant, server)
        first = token(tenant, server)
        assert token(tenant, server, stale=first) == "at-7391-2"
        assert token(tenant, server, stale=first) == "at-7391-2"
        assert token(tenant, server) == "at-7391-2"
        assert len(server.asked) == 2


def test_an_expired_token_is_replaced(tenant, monkeypatch):
    with serving(numbered()) as server:
        client_credentials(tenant, server)
        assert token(tenant, server) == "at-7391-1"
        late = now_ms() + 3_541_000  # a minute before the hour is over
        monkeypatch.setattr(oauth, "now_ms", lambda: late)
        assert token(tenant, server) == "at-7391-2"


def test_of_many_at_once_one_fetches(tenant):
    at_once = 12
    with serving(numbered(refresh_token="rt-7391-1")) as server:
        store = refreshing(tenant, server)
        store_access = OpenCredentials(CredentialStore(TenantTable(tenant)), frozenset({server.host}))

        async def all_of_them() -> list[str]:
            return await asyncio.gather(*(store_access.access_token("crm") for _ in range(at_once)))

        assert set(asyncio.run(all_of_them())) == {"at-7391-1"}
        assert len(server.asked) == 1
    assert store.open("crm").values["refresh_token"] == "rt-7391-1"


def test_a_new_refresh_token_takes_the_place_of_the_old_one(tenant):
    issued = []

    def answer(asked: Asked) -> Reply:
        sent = parse_qs(asked.body.decode())["refresh_token"][0]
        issued.append(sent)
        rotated = f"rt-7391-{len(issued)}"
        return Reply({"access_token": f"at-{len(issued)}", "expires_in": "3600", "refresh_token": rotated})

    with serving(answer) as server:
        store = refreshing(tenant, server)
        last = None
        for _ in range(3):
            last = token(tenant, server, stale=last)
    assert issued == ["rt-7391-0", "rt-7391-1", "rt-7391-2"]
    assert store.open("crm").values["refresh_token"] == "rt-7391-3"
    assert store.get("crm").version == 1
    assert "7391" not in everything_stored()


def test_a_write_that_fails_is_tried_again_so_that_no_refresh_token_is_lost(tenant, monkeypatch):
    keep_token, tried = CredentialStore.keep_token, []

    def flaky(self, *args):
        tried.append(1)
        if len(tried) < 3:
            raise Unavailable("the database is busy; try again")
        return keep_token(self, *args)

    monkeypatch.setattr(CredentialStore, "keep_token", flaky)
    with serving(numbered(refresh_token="rt-7391-1")) as server:
        store = refreshing(tenant, server)
        assert token(tenant, server) == "at-7391-1"
    assert len(tried) == 3
    assert store.open("crm").values["refresh_token"] == "rt-7391-1"


def test_who_is_cancelled_meanwhile_still_leaves_the_new_refresh_token(tenant):
    asked, go_on = threading.Event(), threading.Event()

    def answer(_asked: Asked) -> Reply:
        asked.set()
        go_on.wait(20)
        return Reply({"access_token": "at-1", "refresh_token": "rt-7391-1"})

    with serving(answer) as server:
        store = refreshing(tenant, server)

        async def cancelled() -> None:
            access = OpenCredentials(CredentialStore(TenantTable(tenant)), frozenset({server.host}))
            task = asyncio.create_task(access.access_token("crm"))
            await asyncio.to_thread(asked.wait, 20)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            go_on.set()
            async with asyncio.timeout(20):
                while await asyncio.to_thread(lambda: store.get("crm").token) is None:
                    await asyncio.sleep(0.02)

        asyncio.run(cancelled())
    assert store.open("crm").values["refresh_token"] == "rt-7391-1"


def test_a_credential_that_is_rotated_while_its_token_is_fetched_gives_a_token_of_the_new_values(tenant):
    store = None

    def answer(asked: Asked) -> Reply:
        sent = parse_qs(asked.body.decode())["refresh_token"][0]
        if sent == "rt-7391-0":
            before = store.get("crm")
            values = sealing.values_of(tenant, before) | {"refresh_token": "rt-by-hand"}
            after = sealing.sealed_values(tenant, "crm", before.kind, values)
            store.rotate(before, type(before)(**{**_fields(before), "sealed": after}))
        return Reply({"access_token": f"at-for-{sent}", "refresh_token": "rt-late" if sent == "rt-7391-0" else None})

    with serving(answer) as server:
        store = refreshing(tenant, server)
        assert token(tenant, server) == "at-for-rt-by-hand"
    assert store.open("crm").values["refresh_token"] == "rt-by-hand"


def _fields(record):
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def test_a_credential_that_is_deleted_while_its_token_is_fetched_is_not_found(tenant):
    store = None

    def answer(_asked: Asked) -> Reply:
        store.remove("crm", None)
        return Reply({"access_token": "at-1"})

    with serving(answer) as server:
        store = refreshing(tenant, server)
        with pytest.raises(NotFound):
            token(tenant, server)
    with pytest.raises(NotFound):
        store.get("crm")


def test_a_lease_that_somebody_died_with_lapses(tenant, monkeypatch):
    with serving(numbered()) as server:
        store = client_credentials(tenant, server)
        store.lease(store.get("crm"), Lease("dead", now_ms() + 700))
        assert token(tenant, server) == "at-7391-1"
        monkeypatch.setattr(oauth, "_PATIENCE_S", 0.3)
        store.lease(store.get("crm"), Lease("dead", now_ms() + 60_000))
        assert token(tenant, server) == "at-7391-1"
        with pytest.raises(Unavailable):
            token(tenant, server, stale="at-7391-1")


def test_a_lease_that_cannot_be_given_back_hides_neither_a_refusal_nor_a_token(tenant, monkeypatch):
    def unreachable(*_):
        raise Unavailable("the database cannot be reached; try again")

    monkeypatch.setattr(CredentialStore, "release", unreachable)
    with serving([Reply({"error": "invalid_client"}, 401)]) as server:
        client_credentials(tenant, server)
        with pytest.raises(TokenRefused):
            token(tenant, server)


def test_a_server_that_answers_drop_by_drop_is_left_before_the_lease_lapses(monkeypatch):
    assert token_server._WHOLE_SECONDS * 1000 < oauth._LEASE_MS
    monkeypatch.setattr(token_server, "_WHOLE_SECONDS", 0.5)

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        with suppress(OSError), closing(writer):
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)

    async def ask() -> None:
        async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
            host = "{}:{}".format(*server.sockets[0].getsockname())
            values = {"token_url": f"http://{host}/token", "client_id": "me", "refresh_token": "rt-7391-0"}
            with pytest.raises(Unavailable, match="did not answer in time"):
                async with asyncio.timeout(10):
                    await fetched("oauth2_refresh_token", values, frozenset({host}))

    asyncio.run(ask())


def test_a_refusal_lets_the_next_one_try(tenant):
    replies = [Reply({"error": "invalid_client"}, 401), Reply({"access_token": "at-1"})]
    with serving(replies) as server:
        client_credentials(tenant, server)
        with pytest.raises(TokenRefused):
            token(tenant, server)
        assert token(tenant, server) == "at-1"


@pytest.mark.parametrize(
    ("reply", "error", "says"),
    [
        (Reply({"error": "invalid_grant", "error_description": "s3cret 7391"}, 400), TokenRefused, "(invalid_grant)"),
        (Reply({"error": "s3cret 7391"}, 400), TokenRefused, "answered 400"),
        (Reply(b"<html>7391", 403), TokenRefused, "answered 403"),
        (Reply(b"", 302, {"Location": "http://169.254.169.254/"}), TokenRefused, "answered 302"),
        (Reply({"error": "slow_down"}, 429), Unavailable, "answered 429"),
        (Reply(b"7391", 500), Unavailable, "answered 500"),
        (Reply({"token": "7391"}), TokenRefused, "without an access token"),
        (Reply({"access_token": 7391}), TokenRefused, "without an access token"),
        (Reply({"access_token": "a\nX: 7391"}), TokenRefused, "without an access token"),
        (Reply({"access_token": "7391", "token_type": "mac"}), TokenRefused, "no bearer token"),
        (Reply(b"{7391", 200), TokenRefused, "without an access token"),
        (Reply([7391], 200), TokenRefused, "without an access token"),
        (Reply(b"7391" * 30_000, 200), TokenRefused, "more than 100,000 bytes"),
        (Reply(b"", cut=0), Unavailable, "connection"),
    ],
)
def test_what_a_token_server_answers_wrongly_is_told_without_quoting_it(tenant, reply, error, says):
    with serving([reply]) as server:
        client_credentials(tenant, server)
        with pytest.raises(error) as caught:
            token(tenant, server)
    assert says in caught.value.detail
    assert "7391" not in caught.value.detail
    assert "s3cret" not in caught.value.detail


@pytest.mark.parametrize("lifetime", [None, "soon", -5, float("1e308"), True, [], {}])
def test_odd_lifetimes_are_survived(tenant, lifetime):
    with serving([Reply({"access_token": "at-1", "expires_in": lifetime})]) as server:
        client_credentials(tenant, server)
        assert token(tenant, server) == "at-1"


def test_a_private_token_server_is_refused():
    values = {"token_url": "http://127.0.0.1:9/token", **CLIENT}
    with pytest.raises(TokenRefused, match="not on the public internet"):
        asyncio.run(fetched("oauth2_client_credentials", values, frozenset()))


def test_other_kinds_other_names_and_other_tenants_have_no_tokens(tenant, other_tenant):
    keep(tenant, "plain", "bearer", {"token": "t"})
    with serving(numbered()) as server:
        client_credentials(tenant, server)
        for who, name, error in [
            (tenant, "plain", Invalid),
            (tenant, "none", NotFound),
            (other_tenant, "crm", NotFound),
        ]:
            with pytest.raises(error):
                token(who, server, name)
        assert server.asked == []
