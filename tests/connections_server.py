"""The management API of a WebSocket API, on loopback: what is posted to its connections is kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote


@dataclass
class Connections:
    """`frames` by connection id; a connection in `gone` answers 410, one in `broken` 500."""

    url: str = ""
    frames: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)

    def take(self, connection_id: str) -> list[dict[str, Any]]:
        """What a connection has got since it was last asked."""
        return self.frames.pop(connection_id, [])


@contextmanager
def serving() -> Iterator[Connections]:
    """The server, for as long as the block runs."""
    connections = Connections()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            connection_id = unquote(self.path.rsplit("/@connections/", 1)[1])
            body = self.rfile.read(int(self.headers["content-length"]))
            if connection_id in connections.gone:
                self._answer(410, "GoneException")
            elif connection_id in connections.broken:
                self._answer(403, "ForbiddenException")
            else:
                connections.frames.setdefault(connection_id, []).append(json.loads(body))
                self._answer(200, "")

        def _answer(self, status: int, error: str) -> None:
            self.send_response(status)
            if error:
                self.send_header("x-amzn-ErrorType", error)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    connections.url = f"http://127.0.0.1:{server.server_port}/live"
    try:
        yield connections
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
