"""For tests that start runs over HTTP: machines that run, and something for them to call."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from infrastructure.local.interpreter import Functions, running
from shared.settings import settings
from stepfunctions import chat, guided, guided_progress, inner, manual
from stepfunctions.generator import generate
from tests import smtp_server
from tests.smtp_server import SmtpServer
from tests.stepfunctions.guided_talk import body, template


class Hurried:
    """Time in which a sleep is over at once, and lasted as long as it was to."""

    def __init__(self) -> None:
        self._slept = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._slept

    def sleep(self, seconds: float) -> None:
        self._slept += seconds


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Hurried:
    """Whoever waits for a run's end has waited: nothing runs here."""
    clock = Hurried()
    for module in (chat, generate, guided, guided_progress, inner, manual):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def machines(aws: dict[str, str]) -> Iterator[Functions]:
    """State machines run."""
    with running() as functions:
        yield functions


@pytest.fixture
def claim(api_client: httpx.Client) -> dict[str, Any]:
    """A guided template."""
    made: dict[str, Any] = body(api_client.post("/workflow-templates", json=template()), 201)
    return made


@pytest.fixture
def mail_server(api_client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpServer]:
    """A mail server that the first tenant has a credential `mail` for."""
    with smtp_server.serving() as server:
        monkeypatch.setenv("SW_ALLOWED_HOSTS", server.host)
        settings.cache_clear()
        values = {"host": "127.0.0.1", "port": server.port, "tls": "off", "from": "App <app@first.example>"}
        body(api_client.post("/credentials", json={"name": "mail", "kind": "smtp", "values": values}), 201)
        yield server
