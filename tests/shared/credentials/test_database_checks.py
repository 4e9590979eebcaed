"""The checks of databases sign in at real servers (at stand-ins for MongoDB and Qdrant)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.credentials.checks import CheckFailed, check
from tests.hrana_server import TOKEN, hrana
from tests.servers.databases import Database
from tests.servers.mongo import standing
from tests.servers.process import free_port
from tests.servers.qdrant import KEY, qdrant


def tried(kind: str, values: Mapping[str, Any], *hosts: str) -> str:
    """What is wrong, or nothing."""
    try:
        asyncio.run(check(kind, values, frozenset(hosts)))
    except CheckFailed as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_sql(kind: str, request: pytest.FixtureRequest) -> None:
    server: Database = request.getfixturevalue({"postgres": "postgres_server", "mysql": "mariadb_server"}[kind])
    assert tried(kind, server.values, server.host) == ""
    wrong = tried(kind, {**server.values, "password": "wrong-word"}, server.host)
    assert "refuses" in wrong
    assert "wrong-word" not in wrong
    assert "public internet" in tried(kind, server.values)
    port = free_port()
    assert "reached" in tried(kind, {**server.values, "port": port}, f"127.0.0.1:{port}")


def test_redis(redis_server: Database) -> None:
    assert tried("redis", redis_server.values, redis_server.host) == ""
    wrong = tried("redis", {"url": f"redis://:wrong-word@{redis_server.host}"}, redis_server.host)
    assert "refuses" in wrong
    assert "wrong-word" not in wrong
    assert "public internet" in tried("redis", redis_server.values)


def test_mongodb() -> None:
    with standing() as server:
        values = {"uri": f"mongodb://{server.host}", "database": "shop"}
        assert tried("mongodb", values, server.host) == ""
        assert "refuses" in tried("mongodb", {**values, "uri": f"mongodb://u:p@{server.host}"}, server.host)
        assert "public internet" in tried("mongodb", values)


def test_qdrant() -> None:
    with qdrant() as url:
        host = url.split("/")[2]
        assert tried("qdrant", {"url": url, "api_key": KEY}, host) == ""
        assert "refuses" in tried("qdrant", {"url": url}, host)
        assert "public internet" in tried("qdrant", {"url": url, "api_key": KEY})
        assert "404" in tried("qdrant", {"url": f"{url}/elsewhere", "api_key": KEY}, host)


def test_libsql(tmp_path: Path) -> None:
    with hrana(tmp_path / "db") as server:
        values = {"url": server.url, "token": TOKEN}
        assert tried("libsql", values, server.host) == ""
        wrong = tried("libsql", {**values, "token": "wrong-word"}, server.host)
        assert "refuses" in wrong
        assert "wrong-word" not in wrong
        assert "public" in tried("libsql", values)
