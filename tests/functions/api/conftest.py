"""For tests that start runs over HTTP: machines that run, and something for them to call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infrastructure.local.interpreter import Functions, running
from shared.settings import settings
from tests.echo_server import EchoServer, serving


@pytest.fixture
def machines(aws: dict[str, str]) -> Iterator[Functions]:
    """State machines run."""
    with running() as functions:
        yield functions


@pytest.fixture
def http(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[EchoServer]:
    """A local HTTP service that http_request may reach."""
    with serving() as server:
        monkeypatch.setenv("SW_ALLOWED_HOSTS", server.host)
        settings.cache_clear()
        yield server
