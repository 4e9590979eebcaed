"""One local AWS for all end-to-end tests of a session, with an HTTP service beside it that runs may call.

Nothing here uses moto: tests talk HTTP, and `local.client(…)` where they look behind the product's back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from infrastructure.local.stack import Stack, start
from tests.e2e.caller import Caller
from tests.echo_server import EchoServer, serving
from tests.hrana_server import hrana
from tests.model_server import serving_models
from tests.servers.databases import Database
from tests.servers.mcp.own import Own
from tests.servers.mcp.own import serving as serving_mcp
from tests.servers.qdrant import qdrant
from tests.servers.shop import serving as serving_shop
from tests.shared.nodes.http_server import Server
from tests.smtp_server import SmtpServer
from tests.smtp_server import serving as serving_mail
from tests.stepfunctions.agents import Model, serving_model

MIND_KEY = "story-hush-hush-key"
SHOP_TOKEN = "shop-token-1"
MCP_TOKEN = "mcp-hush-hush-token"
_LAST = "test_nothing_leaks"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks through everything that the others left behind comes last."""
    items.sort(key=lambda item: _LAST in item.nodeid)


@pytest.fixture(scope="session")
def echo() -> Iterator[EchoServer]:
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def smtp() -> Iterator[SmtpServer]:
    with serving_mail() as server:
        yield server


@pytest.fixture(scope="session")
def shop() -> Iterator[str]:
    """A service with GraphQL and OpenAPI; its address."""
    with serving_shop(SHOP_TOKEN) as base:
        yield base


@pytest.fixture(scope="session")
def mcp() -> Iterator[Own]:
    """An MCP server that wants a bearer token."""
    with serving_mcp(demands=("authorization", f"Bearer {MCP_TOKEN}")) as server:
        yield server


@pytest.fixture(scope="session")
def models() -> Iterator[Server]:
    """Models of three providers."""
    with serving_models() as server:
        yield server


@pytest.fixture(scope="session")
def mind() -> Iterator[tuple[Model, Server]]:
    """A model that works by a script, for agents."""
    with serving_model() as made:
        yield made


@pytest.fixture(scope="session")
def libsql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A stand-in for a libSQL server."""
    with hrana(tmp_path_factory.mktemp("libsql") / "memory.db") as server:
        yield server


@pytest.fixture(scope="session")
def qdrant_server() -> Iterator[str]:
    """A stand-in for Qdrant; its address."""
    with qdrant() as url:
        yield url


@pytest.fixture(scope="session")
def local(
    echo: EchoServer,
    smtp: SmtpServer,
    shop: str,
    mcp: Own,
    models: Server,
    mind: tuple[Model, Server],
    libsql: Server,
    postgres_server: Database,
    mariadb_server: Database,
    redis_server: Database,
    qdrant_server: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("OPENAI_")]:
            patch.delenv(name)
        hosts = [echo.host, smtp.host, shop.removeprefix("http://"), mcp.host, models.host, mind[1].host]
        hosts += [libsql.host]
        hosts += [postgres_server.host, mariadb_server.host, redis_server.host, qdrant_server.removeprefix("http://")]
        stack = start(tmp_path_factory.mktemp("local-aws"), hosts)
    try:
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def mine(local: Stack) -> Iterator[Caller]:
    """The first tenant's owner."""
    yield from _caller(local, 0)


@pytest.fixture(scope="session")
def theirs(local: Stack) -> Iterator[Caller]:
    """The second tenant's owner."""
    yield from _caller(local, 1)


@pytest.fixture(scope="session")
def told(mine: Caller, mind: tuple[Model, Server]) -> Model:
    """The model that works by a script, behind the first tenant's credential `told`."""
    model, server = mind
    mine.secrets.add(MIND_KEY)
    values = {"api_key": MIND_KEY, "base_url": f"{server.url}/v1"}
    mine.post("/credentials", {"name": "told", "kind": "openai", "values": values}, 201)
    return model


def _caller(stack: Stack, number: int) -> Iterator[Caller]:
    seeded = stack.tenants[number]
    caller = Caller(stack.api_url, seeded.tenant_id, seeded.api_key)
    with caller.http:
        yield caller
