from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.settings import settings
from tests.echo_server import EchoServer, serving


@pytest.fixture
def receiver(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[EchoServer]:
    """A server that may be reached; what it got stands in `seen`."""
    with serving() as server:
        monkeypatch.setenv("SW_ALLOWED_HOSTS", server.host)
        settings.cache_clear()
        yield server
