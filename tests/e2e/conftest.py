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
def local(echo: EchoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("OPENAI_")]:
            patch.delenv(name)
        stack = start(tmp_path_factory.mktemp("local-aws"), [echo.host])
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


def _caller(stack: Stack, number: int) -> Iterator[Caller]:
    seeded = stack.tenants[number]
    caller = Caller(stack.api_url, seeded.tenant_id, seeded.api_key)
    with caller.http:
        yield caller
