"""For tests that start runs over HTTP: machines that run, and something for them to call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.settings import settings
from tests.echo_server import EchoServer, serving
from tests.stepfunctions.interpreter import Functions, running


@pytest.fixture
def machines(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """State machines run."""
    with running(monkeypatch) as functions:
        yield functions


@pytest.fixture
def http(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[EchoServer]:
    """A local HTTP service that http_request may reach."""
    with serving() as server:
        monkeypatch.setenv("SW_ALLOWED_HOSTS", server.host)
        settings.cache_clear()
        yield server
