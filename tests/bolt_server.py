"""A server that speaks just enough Bolt (5.0) to be asked one query: no Neo4j is to be had here.

Messages are packed and unpacked by the official driver's own code; what is answered is scripted.
"""

from __future__ import annotations

import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from neo4j._codec.packstream._common import Structure, UnpackableBuffer
from neo4j._codec.packstream.v1 import Packer, Unpacker

_HELLO, _GOODBYE, _RESET, _RUN, _PULL = 0x01, 0x02, 0x0F, 0x10, 0x3F
_SUCCESS, _RECORD, _IGNORED, _FAILURE = 0x70, 0x71, 0x7E, 0x7F


@dataclass
class Script:
    """What the server does, and what it has seen: (message, its fields)."""

    fields: list[str] = field(default_factory=lambda: ["one"])
    rows: list[list[Any]] = field(default_factory=lambda: [[1]])
    failure: str | None = None  # the code of a failure of RUN
    says: str = "what the server says"  # its words
    refuses: bool = False  # nobody may sign in
    hangs: bool = False
    cuts: bool = False  # the connection ends when a query comes
    seen: list[tuple[int, list[Any]]] = field(default_factory=list)

    def queries(self) -> list[list[Any]]:
        return [fields for message, fields in self.seen if message == _RUN]


def a_node(number: int, labels: list[str], **properties: Any) -> Structure:
    return Structure(b"N", number, labels, properties, f"n{number}")


def an_edge(number: int, start: int, end: int, kind: str, **properties: Any) -> Structure:
    return Structure(b"R", number, start, end, kind, properties, f"r{number}", f"n{start}", f"n{end}")


class _Handler(socketserver.BaseRequestHandler):
    request: socket.socket

    def handle(self) -> None:
        script: Script = self.server.script  # type: ignore[attr-defined]
        self._exactly(20)
        self.request.sendall(bytes([0, 0, 0, 5]))
        while (message := self._message()) is not None:
            script.seen.append(message)
            tag, _ = message
            if tag == _GOODBYE or (tag == _RUN and script.cuts):
                return
            if tag == _RUN and script.hangs:
                threading.Event().wait(3)
                return
            for answer in self._answers(script, tag):
                self._send(answer)

    def _answers(self, script: Script, tag: int) -> Iterator[Structure]:
        if tag == _HELLO and script.refuses:
            yield _failure("Neo.ClientError.Security.Unauthorized", "secret words")
        elif tag == _RUN and script.failure:
            yield _failure(script.failure, script.says)
        elif tag == _PULL and script.failure:
            yield Structure(bytes([_IGNORED]))
        elif tag == _HELLO:
            yield Structure(bytes([_SUCCESS]), {"server": "Neo4j/5.0.0", "connection_id": "b-1"})
        elif tag == _RUN:
            yield Structure(bytes([_SUCCESS]), {"fields": script.fields, "qid": 0})
        elif tag == _PULL:
            for row in script.rows:
                yield Structure(bytes([_RECORD]), row)
            yield Structure(bytes([_SUCCESS]), {"type": "r"})
        else:
            yield Structure(bytes([_SUCCESS]), {})

    def _message(self) -> tuple[int, list[Any]] | None:
        body = b""
        while True:
            head = self._exactly(2)
            if head is None:
                return None
            (size,) = struct.unpack(">H", head)
            if size == 0 and body:
                break
            body += self._exactly(size) or b""
        unpacker = Unpacker(UnpackableBuffer(body))
        count, tag = unpacker.unpack_structure_header()
        return tag[0], [unpacker.unpack() for _ in range(count)]

    def _send(self, answer: Structure) -> None:
        buffer = Packer.new_packable_buffer()
        Packer(buffer).pack_struct(answer.tag, answer.fields)
        body = bytes(buffer.data)
        for at in range(0, len(body), 60_000):
            part = body[at : at + 60_000]
            self.request.sendall(struct.pack(">H", len(part)) + part)
        self.request.sendall(b"\0\0")

    def _exactly(self, size: int) -> bytes | None:
        found = b""
        while len(found) < size:
            more = self.request.recv(size - len(found))
            if not more:
                return None
            found += more
        return found


def _failure(code: str, message: str) -> Structure:
    return Structure(bytes([_FAILURE]), {"code": code, "message": message})


@contextmanager
def serving(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server on loopback."""

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def finish_request(self, request: Any, client_address: Any) -> None:
            if tls is None:
                super().finish_request(request, client_address)
                return
            with suppress(ssl.SSLError, ConnectionError), tls.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)  # who does not trust it hangs up

    with Server(("127.0.0.1", 0), _Handler) as server:
        server.script = script  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
