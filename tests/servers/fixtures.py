"""The servers as fixtures: started once in a test process, and only if a test needs them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import databases
from tests.servers.databases import Database


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Database]:
    with databases.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Database]:
    with databases.mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Database]:
    with databases.redis() as server:
        yield server
