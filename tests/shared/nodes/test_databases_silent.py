"""Servers that take a connection and then say nothing: every node ends with its own time-out, at once."""

from __future__ import annotations

import asyncio
import importlib
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymysql.connections import Connection

from shared.nodes.base import NodeError
from shared.nodes.databases import _mysql
from shared.nodes.world import Credential
from tests.shared.nodes.calls import Keyring, Outside, call, execute

SIGN_IN = {"host": "127.0.0.1", "database": "d", "username": "u", "password": "pass-word", "tls": "off"}


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """The drivers, whose import is not what is timed."""
    for name in ("psycopg", "pymysql", "redis.asyncio", "pymongo", "qdrant_client"):
        importlib.import_module(name)


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(20)
        yield int(listening.getsockname()[1])


@pytest.mark.parametrize(
    ("kind", "type_name", "inputs"),
    [
        ("postgres", "sql_query", {"query": "SELECT 1"}),
        ("mysql", "sql_query", {"query": "SELECT 1"}),
        ("redis", "nosql_query", {"query": {"command": "PING"}}),
        ("redis", "cache_get", {"key": "k"}),
        ("redis", "cache_set", {"key": "k", "value": 1}),
        ("mongodb", "nosql_query", {"query": {"operation": "count", "collection": "c"}}),
        ("qdrant", "qdrant_search", {"query": [1.0]}),
    ],
)
def test_the_node_ends_in_time(port: int, kind: str, type_name: str, inputs: dict[str, Any]) -> None:
    ends_in_time(port, kind, type_name, inputs, tls=False)


@pytest.mark.parametrize(
    ("kind", "type_name", "inputs"),
    [
        ("postgres", "sql_query", {"query": "SELECT 1"}),
        ("mysql", "sql_query", {"query": "SELECT 1"}),
        ("redis", "nosql_query", {"query": {"command": "PING"}}),
        ("mongodb", "nosql_query", {"query": {"operation": "count", "collection": "c"}}),
    ],
)
def test_so_it_does_where_tls_is_begun(port: int, kind: str, type_name: str, inputs: dict[str, Any]) -> None:
    ends_in_time(port, kind, type_name, inputs, tls=True)


def test_nothing_is_left_of_what_a_mongodb_that_said_nothing_was_to_be_reached_by(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    inputs = {"query": {"operation": "count", "collection": "c"}}
    ends_in_time(port, "mongodb", "nosql_query", inputs, tls=True)
    assert list(tmp_path.iterdir()) == []


def test_a_mysql_that_went_away_is_given_up_all_the_same() -> None:
    async def work() -> None:
        done: asyncio.Task[Any] = asyncio.create_task(asyncio.sleep(0, {}))
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        server: Any = Connection(defer_connect=True)
        with socket.socket() as server._sock:  # what a reset leaves: no connection to shut down
            found = Credential("db", "mysql", {**SIGN_IN, "port": port})
            await _mysql._end(done, server, found, call("sql_query", {"credential": "db"}))
            server._sock = None
        assert done.done()

    asyncio.run(work())


def ends_in_time(port: int, kind: str, type_name: str, inputs: dict[str, Any], *, tls: bool) -> None:
    values = {
        "postgres": {**SIGN_IN, "port": port, "tls": "require" if tls else "off"},
        "mysql": {**SIGN_IN, "port": port, "tls": "require" if tls else "off"},
        "redis": {"url": f"redis{'s' * tls}://:pass-word@127.0.0.1:{port}"},
        "mongodb": {"uri": f"mongodb://u:pass-word@127.0.0.1:{port}/?tls={str(tls).lower()}", "database": "d"},
        "qdrant": {"url": f"http://127.0.0.1:{port}"},
    }[kind]
    world = Outside(allowed_hosts=frozenset({f"127.0.0.1:{port}"}), credentials=Keyring({"db": (kind, values)}))
    config = {"credential": "db", **({"collection": "c"} if kind == "qdrant" else {})}
    started = time.monotonic()
    with pytest.raises(NodeError) as caught:
        execute(type_name, config, inputs, world=world, timeout_seconds=0.4)
    assert (caught.value.error, caught.value.retryable) == ("Timeout", True)
    assert "pass-word" not in caught.value.message
    assert time.monotonic() - started < 4
