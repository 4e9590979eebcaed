"""A stand-in for MongoDB, which no package registry has: mongomock behind the real wire protocol (OP_MSG).

What it shows: that the driver connects, asks and reads as it should, through our sockets and with TLS. What it cannot
show: MongoDB's own query planner, replica sets, SCRAM. It knows no passwords: whoever signs in is refused.
"""

from __future__ import annotations

import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import bson
import mongomock
from mongomock.store import ServerStore

_OP_MSG = 2013
_OP_QUERY = 2004
_OP_REPLY = 1


class Standing:
    """The stand-in: where it listens, and the commands that it has got so far."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[dict[str, Any]] = []
        self.primary = True
        self.database = mongomock.MongoClient(_store=ServerStore())

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        name = next(iter(command))
        self.asked.append(command)
        if name.lower() in ("hello", "ismaster"):
            return {
                "isWritablePrimary": self.primary,
                "ismaster": self.primary,
                "hosts": ["10.0.0.1:27017"],  # a name to follow, for whoever follows names
                "maxBsonObjectSize": 16_777_216,
                "maxMessageSizeBytes": 48_000_000,
                "maxWriteBatchSize": 100_000,
                "minWireVersion": 0,
                "maxWireVersion": 21,
                "ok": 1,
            }
        if name.startswith("sasl"):
            return {"ok": 0, "code": 18, "codeName": "AuthenticationFailed", "errmsg": "Authentication failed."}
        if name in ("ping", "endSessions", "killCursors"):
            return {"ok": 1}
        try:
            return {**self._do(name, command), "ok": 1}
        except mongomock.DuplicateKeyError:
            return {"writeErrors": [{"index": 0, "code": 11000, "errmsg": "E11000 duplicate key"}], "n": 0, "ok": 1}
        except (mongomock.OperationFailure, mongomock.WriteError, NotImplementedError, ValueError, TypeError) as error:
            return {"ok": 0, "code": 2, "codeName": "BadValue", "errmsg": str(error)}

    def _do(self, name: str, command: dict[str, Any]) -> dict[str, Any]:
        held = self.database[command["$db"]][command[name]]
        where = f"{command['$db']}.{command[name]}"
        match name:
            case "find":
                found = held.find(command.get("filter") or {}, command.get("projection"))
                if command.get("sort"):
                    found = found.sort(list(command["sort"].items()))
                batch = list(found.skip(command.get("skip", 0)).limit(command.get("limit", 0)))
                return {"cursor": {"id": 0, "ns": where, "firstBatch": batch}}
            case "aggregate":
                return {"cursor": {"id": 0, "ns": where, "firstBatch": list(held.aggregate(command["pipeline"]))}}
            case "insert":
                for document in command["documents"]:
                    held.insert_one(document)
                return {"n": len(command["documents"])}
            case "update":
                [one] = command["updates"]
                change = held.update_many if one.get("multi") else held.update_one
                made = change(one["q"], one["u"], upsert=one.get("upsert", False))
                changed = {"n": made.matched_count, "nModified": made.modified_count}
                if made.upserted_id is None:
                    return changed
                return {**changed, "n": 1, "upserted": [{"index": 0, "_id": made.upserted_id}]}
            case "delete":
                [one] = command["deletes"]
                remove = held.delete_many if one.get("limit") == 0 else held.delete_one
                return {"n": remove(one["q"]).deleted_count}
        raise NotImplementedError(name)


@contextmanager
def standing(context: ssl.SSLContext | None = None) -> Iterator[Standing]:
    """The stand-in, over TLS where a context is given."""
    held = Standing()

    class Handler(socketserver.StreamRequestHandler):
        def setup(self) -> None:
            if context is not None:
                self.request = context.wrap_socket(self.request, server_side=True)
            super().setup()

        def finish(self) -> None:
            super().finish()
            if context is not None:
                self.request.close()  # the server closes only what it has itself accepted

        def handle(self) -> None:
            with suppress(OSError):
                while head := self.rfile.read(16):
                    length, asked_as, _, code = struct.unpack("<iiii", head)
                    body = self.rfile.read(length - 16)
                    self.wfile.write(_reply(held, asked_as, code, body))

    class Quiet(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            return  # a client that refuses the certificate is part of the tests

    with Quiet(("127.0.0.1", 0), Handler) as server:
        held.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield held
        finally:
            server.shutdown()
            thread.join()


def _reply(held: Standing, asked_as: int, code: int, body: bytes) -> bytes:
    if code == _OP_QUERY:  # the first hello of a connection may still be in the old form
        at = body.index(b"\0", 4) + 9
        made = bson.encode(held.answer(bson.decode(body[at : at + struct.unpack_from("<i", body, at)[0]])))
        packed = struct.pack("<iqii", 8, 0, 0, 1) + made
        return struct.pack("<iiii", 16 + len(packed), 1, asked_as, _OP_REPLY) + packed
    assert code == _OP_MSG
    packed = struct.pack("<iB", 0, 0) + bson.encode(held.answer(_command(body)))
    return struct.pack("<iiii", 16 + len(packed), 1, asked_as, _OP_MSG) + packed


def _command(body: bytes) -> dict[str, Any]:
    at, command, lists = 4, {}, {}
    while at < len(body):
        kind = body[at]
        at += 1
        size = struct.unpack_from("<i", body, at)[0]
        if kind == 0:
            command = bson.decode(body[at : at + size])
        else:
            end = body.index(b"\0", at + 4)
            name, inner, lists_of = body[at + 4 : end].decode(), end + 1, []
            while inner < at + size:
                one = struct.unpack_from("<i", body, inner)[0]
                lists_of.append(bson.decode(body[inner : inner + one]))
                inner += one
            lists[name] = lists_of
        at += size
    return {**command, **lists}
