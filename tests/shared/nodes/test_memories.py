"""Where agents remember: one suite over every provider."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.nodes.ai._agent_config import PROVIDERS
from shared.nodes.ai._memories import memory
from shared.nodes.base import NodeError
from shared.store.table import TenantTable
from shared.threads.process import ProcessThreads, threads_of
from shared.threads.store import ThreadStore
from tests.hrana_server import TOKEN, hrana
from tests.shared.nodes.calls import Keyring, Outside, call
from tests.shared.nodes.http_server import Reply, serving

SAID = [
    {"role": "user", "content": "Grüße \u2028 {{ x }}"},
    {"role": "assistant", "content": [{"type": "text", "text": "b"}]},
]


def user(text):
    return {"role": "user", "content": text}


class Kept:
    """A memory whose calls block."""

    def __init__(self, world, where):
        self.call = call("agent", {"model": "m"}, world=world)
        self.where = where

    def _do(self, work):
        async def done():
            return await work(await memory(self.call, self.where))

        return asyncio.run(done())

    def append(self, thread, said, key):
        return self._do(lambda kept: kept.append(thread, said, key=key))

    def history(self, thread, limit=50):
        return self._do(lambda kept: kept.history(thread, limit))


@pytest.fixture(params=PROVIDERS)
def kept(request, tmp_path):
    if request.param == "threads":
        threads = ThreadStore(TenantTable(request.getfixturevalue("tenant")), "ex_1")
        yield Kept(Outside(threads=threads), {})
    elif request.param == "process":
        yield Kept(Outside(process_threads=ProcessThreads()), {"provider": "process"})
    elif request.param == "redis":
        server = request.getfixturevalue("redis_server")
        # A database of this server's own for each test: the server is there for all of them.
        asyncio.run(_emptied(server))
        yield Kept(
            Outside(credentials=Keyring({"own": ("redis", server.values)}), allowed_hosts=server.allowed),
            {"provider": "redis", "credential": "own"},
        )
    else:
        with hrana(tmp_path / "memory.db") as server:
            values = {"url": server.url, "token": TOKEN}
            yield Kept(
                Outside(credentials=Keyring({"own": ("libsql", values)}), allowed_hosts=frozenset({server.host})),
                {"provider": "libsql", "credential": "own"},
            )


async def _emptied(server):
    from shared.outbound.connections import connected
    from shared.outbound.redis import REDIS

    async with connected(REDIS, server.values, server.allowed) as redis:
        await redis.execute_command("FLUSHDB")


def test_what_is_said_is_kept_in_order(kept):
    assert kept.history("t-1") == []
    assert kept.append("t-1", SAID, "1") == 0
    assert kept.append("t-1", [user("c")], "2") == 2
    assert kept.history("t-1") == [*SAID, user("c")]
    assert kept.history("t-1", 2) == [SAID[1], user("c")]
    assert kept.history("t-1", 0) == kept.history("t-2") == []


def test_the_same_key_adds_nothing_twice(kept):
    for _ in range(3):
        assert kept.append("t", [user("a"), user("b")], "run node 0") == 0
    assert kept.append("t", [user("c")], "run node 1") == 2
    assert kept.append("t", [user("a"), user("b")], "run node 0") == 0
    assert kept.append("other", [user("d")], "run node 0") == 0
    assert [m["content"] for m in kept.history("t")] == ["a", "b", "c"]


def test_many_at_the_same_time_lose_nothing(kept):
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda i: kept.append("t", [user(str(i))], str(i)), range(12)))
    assert sorted(numbers) == list(range(12))
    assert sorted(int(m["content"]) for m in kept.history("t")) == list(range(12))


@pytest.mark.parametrize(
    ("thread", "said", "error"),
    [
        ("a#b", [user("a")], "InvalidInput"),
        ("", [user("a")], "InvalidInput"),
        ("t", [], "InvalidInput"),
        ("t", [user("a")] * 91, "InvalidInput"),
        ("t", [{"role": "boss", "content": "a"}], "InvalidInput"),
        ("t", [user("a" * 200_000)], "TooLarge"),
    ],
)
def test_what_cannot_be_said(kept, thread, said, error):
    with pytest.raises(NodeError) as caught:
        kept.append(thread, said, "1")
    assert caught.value.error == error
    assert kept.history("t") == []


@pytest.mark.parametrize(
    ("provider", "credential", "error"),
    [
        ("redis", None, "InvalidInput"),
        ("libsql", None, "InvalidInput"),
        ("redis", "nobody", "CredentialNotFound"),
        ("libsql", "crm", "WrongCredential"),
        ("redis", "far", "BlockedAddress"),
        ("libsql", "away", "BlockedAddress"),
    ],
)
def test_what_cannot_be_reached(provider, credential, error):
    held = {
        "crm": ("bearer", {"token": "x"}),
        "far": ("redis", {"url": "redis://127.0.0.1:1"}),
        "away": ("libsql", {"url": "libsql://127.0.0.1"}),
    }
    kept = Kept(Outside(credentials=Keyring(held)), {"provider": provider, "credential": credential})
    for work in (lambda: kept.history("t"), lambda: kept.append("t", [user("a")], "1")):
        with pytest.raises(NodeError) as caught:
            work()
        assert caught.value.error == error


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply({"error": "no"}, 401), "AuthenticationFailed"),
        (Reply({"error": "no"}, 500), "ConnectionFailed"),
        (Reply(b"<html>"), "ConnectionFailed"),
        (Reply({"results": []}), "ConnectionFailed"),
        (Reply({"results": [{"type": "error", "error": {"message": f"near {TOKEN}"}}]}), "QueryFailed"),
        (Reply({"results": []}, cut=3), "ConnectionFailed"),
    ],
)
def test_a_libsql_server_that_fails(reply, error):
    with serving([reply]) as server:
        held = {"own": ("libsql", {"url": server.url, "token": TOKEN})}
        world = Outside(credentials=Keyring(held), allowed_hosts=frozenset({server.host}))
        kept = Kept(world, {"provider": "libsql", "credential": "own"})
        with pytest.raises(NodeError) as caught:
            kept.append("t", [user("a")], "1")
    assert caught.value.error == error
    assert TOKEN not in caught.value.message


def test_a_statement_that_fails_undoes_all(tmp_path):
    import sqlite3

    path = tmp_path / "memory.db"
    with sqlite3.connect(path) as database:  # somebody else's table of that name
        database.execute("CREATE TABLE statewright_messages (other TEXT)")
    with hrana(path) as server:
        held = {"own": ("libsql", {"url": server.url, "token": TOKEN})}
        world = Outside(credentials=Keyring(held), allowed_hosts=frozenset({server.host}))
        kept = Kept(world, {"provider": "libsql", "credential": "own"})
        for work in (lambda: kept.append("t", [user("a")], "1"), lambda: kept.history("t")):
            with pytest.raises(NodeError) as caught:
                work()
            assert caught.value.error == "QueryFailed"
    with sqlite3.connect(path) as database:
        assert [n for (n,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")] == [
            "statewright_messages"
        ]


def test_what_a_process_remembers_of_a_tenant_has_bounds(tenant):
    threads, long = ProcessThreads(), user("x" * 39_000)
    for number in range(12):
        for part in range(25):
            threads.append(f"t-{number}", [long], key=str(part))
        threads.append("often", [user("still here")], key=str(number))
    assert threads.history("t-0", 1) == []
    assert len(threads.history("t-11", 100)) == 25
    assert len(threads.history("often", 100)) == 12
    first = threads_of(tenant)
    assert threads_of(tenant) is first
    for other in range(20):
        threads_of(replace(tenant, id=f"t{other:026d}"))
    assert threads_of(tenant) is not first
