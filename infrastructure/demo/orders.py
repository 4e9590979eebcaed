"""A small order service on the loopback: the HTTP service that the demo's workflow calls. It stands for yours."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class _Orders(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """`/orders/<id>`: one order."""
        order = {
            "id": urlsplit(self.path).path.rsplit("/", 1)[-1],
            "customer": "Ada Example",
            "items": [
                {"name": "Keyboard", "price": 89},
                {"name": "Cable", "price": 9},
                {"name": "Monitor", "price": 310},
            ],
        }
        body = json.dumps(order).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: the demo says itself what happens."""


@contextmanager
def serving() -> Iterator[str]:
    """The service's `host:port`, for as long as the block lasts."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Orders) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
