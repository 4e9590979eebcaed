"""openCypher over a graph that is one SQLite database in memory. It runs in a box: it can open nothing.

    request: one line of JSON {query, params, write, occasion}, then the graph's bytes (none: a new graph)
    answer: one line of JSON {rows, changed} or {error, message}, then the graph's new bytes if it has changed

GraphQLite compiles the query to SQL. What that SQL may do is bounded a second time, by SQLite's authorizer. A write's
answer is kept in the graph itself, so that it is there exactly if the write is; who asks again is told it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import apsw

from shared.graphs.limits import MAX_ANSWER, MAX_GRAPH, MAX_ROWS, MAX_WRITE_ANSWER, OCCASIONS

_PAGE: Final = 4096
_READS: Final = frozenset(
    {
        apsw.SQLITE_SELECT,
        apsw.SQLITE_READ,
        apsw.SQLITE_FUNCTION,
        apsw.SQLITE_RECURSIVE,
        apsw.SQLITE_TRANSACTION,
        apsw.SQLITE_SAVEPOINT,
    }
)
_WRITES: Final = frozenset({apsw.SQLITE_INSERT, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE})
_NO_FUNCTIONS: Final = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})
_OURS: Final = "answered"
_INDEXES: Final = "graphqlite_schema_objects"  # "created if not there", and it always is
_NEW: Final = (
    f"PRAGMA page_size = {_PAGE}",
    f"CREATE TABLE {_OURS} (place INTEGER PRIMARY KEY, occasion TEXT UNIQUE, answer TEXT)",
    "SELECT cypher('CREATE INDEX ours FOR (n:Ours) ON (n.ours)')",  # makes the table of indexes and constraints
    "SELECT cypher('DROP INDEX ours')",
)


def prepare() -> Callable[[bytes], bytes]:
    """The engine, loaded and tried once."""
    _answer(_opened(), {"query": "RETURN 1 AS one", "params": {}, "write": False, "occasion": ""})
    connection = _opened()  # it is loaded from files, so it has to be there before

    def work(request: bytes) -> bytes:
        head, _, graph = request.partition(b"\n")
        asked = json.loads(head)
        if graph:
            connection.deserialize("main", graph)
        connection.execute(f"PRAGMA max_page_count = {MAX_GRAPH // _PAGE}")
        answer = _answer(connection, asked)
        changed = _bytes(connection) if answer.get("changed") else b""
        return json.dumps(answer).encode() + b"\n" + changed

    return work


def _opened() -> apsw.Connection:
    """A new graph."""
    found = find_spec("graphqlite")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("graphqlite")
    [library] = [p for p in Path(found.origin).parent.iterdir() if p.suffix in (".so", ".dylib")]
    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(str(library))
    connection.enable_load_extension(False)
    for statement in _NEW:
        connection.execute(statement).fetchall()
    connection.execute("PRAGMA temp_store = memory")
    return connection


def _answer(connection: apsw.Connection, asked: dict[str, Any]) -> dict[str, Any]:
    """`{rows, changed}` or `{error, message}`. Only the bytes of a graph that is `changed` are kept: all or nothing."""
    if asked["write"]:
        held = connection.execute(f"SELECT answer FROM {_OURS} WHERE occasion = ?", (asked["occasion"],)).get  # noqa: S608
        if held is not None:
            return {"rows": json.loads(held), "changed": False}
    refused: list[str] = []
    connection.authorizer = _authorizer(write=asked["write"], refused=refused)
    before = connection.total_changes()
    try:
        said = connection.execute("SELECT cypher(?, ?)", (asked["query"], json.dumps(asked["params"]))).get
    except apsw.Error as error:
        connection.authorizer = None
        if connection.execute("PRAGMA page_count").get >= MAX_GRAPH // _PAGE:
            return _failure("GraphTooLarge", f"the graph would be larger than {MAX_GRAPH:,} bytes")
        return _failure(*_problem(str(error), refused))
    finally:
        connection.authorizer = None
    rows = _with_lists(connection, _rows(said))
    if len(rows) > MAX_ROWS:
        return _failure("ResultTooLarge", f"there are more than {MAX_ROWS:,} rows; LIMIT them")
    changed = connection.total_changes() != before
    text, most = json.dumps(rows, ensure_ascii=False), MAX_WRITE_ANSWER if changed else MAX_ANSWER
    if len(text) > most:
        return _failure(
            "ResultTooLarge", f"the rows{' of a query that writes' if changed else ''} are more than {most:,} bytes"
        )
    if changed:
        connection.execute(f"INSERT INTO {_OURS} (occasion, answer) VALUES (?, ?)", (asked["occasion"], text))  # noqa: S608
        last = f"SELECT place FROM {_OURS} ORDER BY place DESC LIMIT {OCCASIONS}"  # noqa: S608
        connection.execute(f"DELETE FROM {_OURS} WHERE place NOT IN ({last})")  # noqa: S608
    return {"rows": rows, "changed": changed}


def _bytes(connection: apsw.Connection) -> bytes:
    """The graph as it is now, without the room that deleted things have left if that is most of it."""
    free, pages = (connection.execute(f"PRAGMA {name}").get for name in ("freelist_count", "page_count"))
    if free > pages / 2:
        connection.execute("VACUUM")
    return connection.serialize("main")


def _authorizer(*, write: bool, refused: list[str]) -> Any:
    def judge(action: int, first: str | None, second: str | None, _: str | None, __: str | None) -> int:
        if action in _WRITES or (action == apsw.SQLITE_CREATE_TABLE and first == _INDEXES):
            if write and first != _OURS:
                return int(apsw.SQLITE_OK)
            refused.append("write")
        elif action in _READS and first != _OURS and str(second).lower() not in _NO_FUNCTIONS:
            return int(apsw.SQLITE_OK)
        else:
            refused.append("other")
        return int(apsw.SQLITE_DENY)

    return judge


def _rows(said: Any) -> list[Any]:
    """The rows of a query that returns some; of another, one row that counts what it did."""
    found = json.loads(said) if said else []
    return found if isinstance(found, list) else [found]


def _with_lists(connection: apsw.Connection, rows: list[Any]) -> list[Any]:
    """A property that is a list or a map comes out of `RETURN n.x` as its JSON's text; here it is a value again.

    A text is taken for one if it is such a property's in this graph, and no text property's.
    """
    texts: set[str] = set()
    _texts(rows, texts)
    if not texts:
        return rows
    for known, keep in (("json", texts.intersection_update), ("text", texts.difference_update)):
        tables = (f"SELECT value FROM {of}_props_{known}" for of in ("node", "edge"))  # noqa: S608
        keep([value for (value,) in connection.execute(" UNION ".join(tables))])
    return list(_valued(rows, texts)) if texts else rows


def _texts(value: Any, found: set[str]) -> None:
    if isinstance(value, str):
        if value[:1] in ("[", "{"):
            found.add(value)
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            _texts(part, found)


def _valued(value: Any, texts: set[str]) -> Any:
    if isinstance(value, str):
        return json.loads(value) if value in texts else value
    if isinstance(value, list):
        return [_valued(v, texts) for v in value]
    return {k: _valued(v, texts) for k, v in value.items()} if isinstance(value, dict) else value


def _problem(said: str, refused: list[str]) -> tuple[str, str]:
    if refused:
        if refused[0] == "write":
            return "ReadOnly", "the query writes, and config.mode is read"
        return "QueryFailed", "the query asks for something that is not the graph's"
    try:
        told = json.loads(said)
        message = str(told["error"])
        where = f" (line {told['line']}, column {told['column']})" if "line" in told else ""
    except (ValueError, KeyError, TypeError):
        return "QueryFailed", said[:1000]
    return "QueryFailed", f"{message[:1000]}{where}"


def _failure(error: str, message: str) -> dict[str, Any]:
    return {"error": error, "message": message}
