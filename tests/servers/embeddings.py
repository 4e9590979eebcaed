"""An OpenAI-compatible endpoint for embeddings on loopback.

with serving() as server:              # server.url ends with /v1; server.asked are the bodies that came
    …                                  # model `minilm`: the real one; `words`: 64 numbers, by the words that are there
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from tests.servers import minilm

KEY = "sk-embeddings"
WORDS = 64


@dataclass
class Embeddings:
    """The server: where it is, what it was asked; `fails` are answers (status, body) that come first."""

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    fails: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def host(self) -> str:
        """`host:port`, for the hosts that are allowed."""
        return self.url.split("/")[2]


def by_words(texts: Sequence[str]) -> list[list[float]]:
    """Vectors that are near where texts share words: quick, and the same everywhere."""
    return [_by_words(text) for text in texts]


def _by_words(text: str) -> list[float]:
    found = [0.0] * WORDS
    for word in re.findall(r"\w+", text.lower()):
        found[hashlib.md5(word.encode()).digest()[0] % WORDS] += 1.0
    length = sum(n * n for n in found) ** 0.5 or 1.0
    return [n / length for n in found]


@contextmanager
def serving() -> Iterator[Embeddings]:
    """The server, while it is needed."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            known.asked.append(body)
            if known.fails:
                return self.answer(*known.fails.pop(0))
            if self.headers.get("authorization") != f"Bearer {KEY}":
                return self.answer(401, b'{"error": {"message": "no such key"}}')
            texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
            vectors = worker.embed(texts) if body["model"] == "minilm" else by_words(texts)
            data = [
                {"object": "embedding", "index": i, "embedding": self.coded(v, body)} for i, v in enumerate(vectors)
            ]
            used = sum(len(t.split()) for t in texts)
            usage = {"prompt_tokens": used, "total_tokens": used}
            said = {"object": "list", "model": body["model"], "data": data, "usage": usage}
            return self.answer(200, json.dumps(said).encode())

        def coded(self, vector: list[float], body: dict[str, Any]) -> Any:
            if body.get("encoding_format") != "base64":
                return vector
            return base64.b64encode(np.array(vector, dtype="<f4").tobytes()).decode()

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    worker = minilm.Worker()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = Embeddings(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        worker.close()
