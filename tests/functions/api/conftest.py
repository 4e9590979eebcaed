"""For tests that start runs over HTTP: machines that run, and something for them to call."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from infrastructure.local.interpreter import Functions, running
from shared.settings import settings
from tests import smtp_server
from tests.echo_server import EchoServer, serving
from tests.smtp_server import SmtpServer


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


@pytest.fixture
def mail_server(api_client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpServer]:
    """A mail server that the first tenant has a credential `mail` for."""
    with smtp_server.serving() as server:
        monkeypatch.setenv("SW_ALLOWED_HOSTS", server.host)
        settings.cache_clear()
        values = {"host": "127.0.0.1", "port": server.port, "tls": "off", "from": "App <app@first.example>"}
        body = {"name": "mail", "kind": "smtp", "values": values}
        assert api_client.post("/credentials", json=body).status_code == 201
        yield server
