"""An HTTP service for tests: `/echo` says what it got, `/status/N` answers N, `/slow?s=1` takes its time, `/big?n=…`,
`/flaky?n=1` fails once, `/held?mark=x` answers only after `release("x")`.

`seen` keeps (method, path, headers, body) of every request.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class EchoServer(ThreadingHTTPServer):
    """Listens on a free port of the loopback."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self._released: set[str] = set()
        self._change = threading.Condition()

    def release(self, mark: str) -> None:
        """Answer what is held under this mark, now and from now on."""
        with self._change:
            self._released.add(mark)
            self._change.notify_all()

    def hold(self, mark: str) -> None:
        """Wait until the mark is released, or a minute."""
        with self._change:
            self._change.wait_for(lambda: mark in self._released, timeout=60)

    @property
    def host(self) -> str:
        """`127.0.0.1:port`."""
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def base(self) -> str:
        """`http://127.0.0.1:port`."""
        return f"http://{self.host}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EchoServer

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        parts = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        status, answer = 200, b""
        if parts.path.startswith("/status/"):
            status = int(parts.path.split("/")[2])
        elif parts.path == "/flaky":  # fails the first n times that it is asked with this very query
            asked = sum(path == self.path for _, path, _, _ in list(self.server.seen))
            status = 500 if asked <= int(query["n"]) else 200
        elif parts.path == "/held":
            self.server.hold(query["mark"])
        elif parts.path == "/slow":
            time.sleep(float(query["s"]))
        elif parts.path == "/big":
            answer = json.dumps([{"id": i, "text": "x" * 90} for i in range(int(query["n"]))]).encode()
        said: dict[str, Any] = {"method": self.command, "path": self.path, "query": query, "body": body.decode()}
        answer = answer or json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # tests kill who asked
            self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _answer

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@contextmanager
def serving(port: int = 0) -> Iterator[EchoServer]:
    """A server for as long as the block lasts."""
    with EchoServer(port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
