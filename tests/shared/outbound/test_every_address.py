"""Of a name with several addresses each is tried, and none that was not judged."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.sync.server import serve

from shared.nodes.base import NodeError
from shared.outbound import connections
from shared.outbound.connections import NotConnected, connected, dialled
from shared.outbound.neo4j import Refused, ask
from shared.outbound.redis import REDIS
from tests.bolt_server import Script, serving
from tests.servers.databases import Database
from tests.servers.process import free_port
from tests.shared.nodes.calls import Outside, execute

NAME = "several.test"
DEAF, HERE = "127.0.0.2", "127.0.0.1"


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`named(a, b)` makes these the addresses of the name."""

    def resolves(*found: str) -> None:
        real = socket.getaddrinfo

        def fake(host: Any, port: Any, *given: Any, **more: Any) -> list[Any]:
            hosts = found if host == NAME else (host,)
            return [entry for each in hosts for entry in real(each, port, *given, **more)]

        monkeypatch.setattr(socket, "getaddrinfo", fake)

    return resolves


def redis(port: int, allowed: frozenset[str], values: dict[str, Any]) -> str:
    async def work() -> str:
        given = {**values, "url": values["url"].replace(HERE, NAME)}
        async with connected(REDIS, given, allowed) as held:
            return str(await held.echo("here"))

    return asyncio.run(work())


def neo4j(port: int, allowed: frozenset[str], _: Any = None) -> str:
    values = {"uri": f"bolt://{NAME}:{port}"}
    asking = ask(values, "RETURN 1", {}, write=False, seconds=5, allowed=allowed)
    return "here" if asyncio.run(asking) == [{"one": 1}] else ""


def websocket(port: int, allowed: frozenset[str], _: Any = None) -> str:
    inputs = {"url": f"ws://{NAME}:{port}/", "message": "here"}
    return str(execute("websocket", {}, inputs, world=Outside(allowed_hosts=allowed))["response"])


@pytest.fixture(params=[redis, neo4j, websocket])
def asked(request: pytest.FixtureRequest) -> Iterator[tuple[Callable[..., str], int, Any]]:
    """A way of asking, the port of a real server on one address of loopback, a credential's values."""
    with ExitStack() as stack:
        if request.param is redis:
            database: Database = request.getfixturevalue("redis_server")
            yield redis, database.port, database.values
        elif request.param is neo4j:
            yield neo4j, stack.enter_context(serving(Script())), None
        else:
            server = stack.enter_context(serve(lambda c: c.send(c.recv()), HERE, 0))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield websocket, server.socket.getsockname()[1], None


def test_the_second_is_tried_where_the_first_refuses(asked, named) -> None:
    way, port, values = asked
    named(DEAF, HERE)
    found = way(port, frozenset({f"{NAME}:{port}"}), values)
    assert found in ("here", "b'here'")


def test_one_that_may_not_be_reached_and_nothing_is_tried(asked, named) -> None:
    way, port, values = asked
    named("203.0.114.1", HERE)
    with pytest.raises((NotConnected, Refused, NodeError)) as caught:
        way(port, frozenset(), values)
    assert caught.value.error == "BlockedAddress"


@pytest.fixture
def silent() -> Iterator[int]:
    """A port of DEAF where connections are never taken, while HERE takes them."""
    with socket.socket() as full, socket.socket() as open_, ExitStack() as stack:
        port = free_port()
        full.bind((DEAF, port))
        full.listen(0)
        for _ in range(3):  # its queue is full with these
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((DEAF, port))
        open_.bind((HERE, port))
        open_.listen()
        yield port


def test_one_that_says_nothing_leaves_time_for_the_next(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECT_SECONDS", 0.4)
    with asyncio.run(dialled([DEAF, HERE], silent)) as link:
        assert link.getpeername() == (HERE, silent)
    with pytest.raises(TimeoutError):
        asyncio.run(dialled([DEAF, DEAF], silent))
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(dialled([DEAF, "127.0.0.3"], silent))


def test_a_machine_without_ipv6_goes_on_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def of_old(family: int = socket.AF_INET, *more: Any, **others: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, *more, **others)

    with real() as server:
        server.bind((HERE, 0))
        server.listen()
        port = server.getsockname()[1]
        monkeypatch.setattr(connections.socket, "socket", of_old)
        with asyncio.run(dialled(["::1", HERE], port)) as link:
            assert link.getpeername() == (HERE, port)
        with pytest.raises(OSError, match="family"):
            asyncio.run(dialled(["::1"], port))
