"""A stand-in for a libSQL server: Hrana 3 over HTTP, `batch` and `close` only, in front of a real SQLite database.

There is no server of libSQL's among the packages that tests may install. The SQL is judged by the engine that libSQL is
a fork of; of the protocol it knows what HRANA_3_SPEC.md says of the requests that the product makes.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.shared.nodes.http_server import Asked, Reply, Server, serving

TOKEN = "turso-hush-hush"


@contextmanager
def hrana(path: Path) -> Iterator[Server]:
    """A database at this path, for whoever has the token."""
    lock = threading.Lock()
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply({"error": "Unauthorized"}, 401)
        if asked.path != "/v2/pipeline":
            return Reply({"error": "no such route"}, 404)
        with lock:
            results = [_done(database, request) for request in asked.json["requests"]]
        return Reply({"baton": None, "base_url": None, "results": results})

    with serving(answer) as server:
        yield server
    database.close()


def _done(database: sqlite3.Connection, request: dict[str, Any]) -> dict[str, Any]:
    if request["type"] == "close":
        return {"type": "ok", "response": {"type": "close"}}
    results: list[Any] = []
    errors: list[Any] = []
    for step in request["batch"]["steps"]:
        result = error = None
        if _holds(step.get("condition"), results, errors):
            try:
                result = _executed(database, step["stmt"])
            except sqlite3.Error as failed:
                error = {"message": f"SQLite error: {failed}", "code": "SQLITE_ERROR"}
        results.append(result)
        errors.append(error)
    return {"type": "ok", "response": {"type": "batch", "result": {"step_results": results, "step_errors": errors}}}


def _holds(condition: dict[str, Any] | None, results: list[Any], errors: list[Any]) -> bool:
    if condition is None:
        return True
    if condition["type"] == "not":
        return not _holds(condition["cond"], results, errors)
    return {"ok": results, "error": errors}[condition["type"]][condition["step"]] is not None


def _executed(database: sqlite3.Connection, statement: dict[str, Any]) -> dict[str, Any]:
    given = [int(a["value"]) if a["type"] == "integer" else a["value"] for a in statement.get("args", [])]
    cursor = database.execute(statement["sql"], given)
    rows = [[_encoded(v) for v in row] for row in cursor.fetchall()]
    names = [{"name": d[0], "decltype": None} for d in cursor.description or ()]
    return {"cols": names, "rows": rows, "affected_row_count": max(0, cursor.rowcount), "last_insert_rowid": None}


def _encoded(value: Any) -> dict[str, Any]:
    if value is None:
        return {"type": "null"}
    return {"type": "integer", "value": str(value)} if isinstance(value, int) else {"type": "text", "value": value}
