"""One statement at MySQL or MariaDB. Loads PyMySQL, so import it when needed.

PyMySQL has no prepared statements of the binary protocol and would write values into the text. So the server is made to
bind them: the text is prepared as it is, and executed with session variables that hold the values.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from contextlib import suppress
from typing import Any, Final

import pymysql
from pymysql.connections import Connection
from pymysql.constants import FIELD_TYPE
from pymysql.cursors import SSCursor

from shared.nodes.base import Call, NodeError, Outputs
from shared.nodes.databases._reaching import connection
from shared.nodes.databases._sql import Rows, Statement, number
from shared.nodes.world import Credential
from shared.outbound.mysql import MYSQL

_BINARY: Final = 63  # the character set of what is no text
_NAMES: Final = {getattr(FIELD_TYPE, name): name.lower() for name in dir(FIELD_TYPE) if name.isupper()} | {
    FIELD_TYPE.TINY: "tinyint",
    FIELD_TYPE.SHORT: "smallint",
    FIELD_TYPE.INT24: "mediumint",
    FIELD_TYPE.LONG: "int",
    FIELD_TYPE.LONGLONG: "bigint",
    FIELD_TYPE.NEWDECIMAL: "decimal",
    FIELD_TYPE.VAR_STRING: "varchar",
    FIELD_TYPE.STRING: "char",
}
_TIMED_OUT: Final = frozenset({1317, 1969, 3024})
_LOST: Final = frozenset({1040, 1053, 1077, 1080, 1203, 2006, 2013, 2014, 2055})
_CONFLICT: Final = frozenset({1205, 1213})
_CONSTRAINT: Final = frozenset({1022, 1048, 1062, 1169, 1216, 1217, 1451, 1452, 1557, 3819, 4025})
_DENIED: Final = frozenset({1044, 1142, 1143, 1227, 1370})
_TELLING: Final = frozenset({1054, 1064, 1146, 1049, 1305})  # quote the statement or a name, never a row


async def run(call: Call, found: Credential, statement: Statement, seconds: float) -> Outputs:
    """Its rows, or how many rows it changed, committed. Raises NodeError."""
    async with connection(MYSQL, found, call) as server:
        work = asyncio.create_task(asyncio.to_thread(_in_transaction, server, call, statement, seconds))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await _end(work, server, found, call)
            raise
        except pymysql.MySQLError as error:
            raise _node_error(error, seconds) from None
        except (OSError, RuntimeError, ValueError):
            raise NodeError("ConnectionFailed", "the connection was lost") from None


async def _end(work: asyncio.Task[Outputs], server: Connection[Any], found: Credential, call: Call) -> None:
    """The run does not want it any more: the server is told over another connection, then this one is cut."""
    link: Any = server
    try:
        async with asyncio.timeout(3), connection(MYSQL, found, call) as other:
            await asyncio.to_thread(other.query, f"KILL QUERY {int(link.thread_id())}")
    except (NodeError, pymysql.MySQLError, OSError, TimeoutError):
        pass  # the server's own limit ends it
    if (near := link._sock) is not None:
        with suppress(OSError):  # it may have ended by itself
            near.shutdown(socket.SHUT_RDWR)  # the thread that reads from it ends at once
    await asyncio.wait([work])
    work.exception()


def _in_transaction(server: Connection[Any], call: Call, statement: Statement, seconds: float) -> Outputs:
    mode = "READ ONLY" if call.config.get("read_only", True) else "READ WRITE"
    inner: Any = server
    inner._read_timeout = seconds + 5
    with server.cursor() as plain:
        # Two settings of one meaning: MySQL's holds for reads only, in milliseconds; MariaDB's for all, in seconds.
        if "mariadb" in str(inner.get_server_info()).lower():
            plain.execute("SET SESSION max_statement_time = %s", (max(0.001, seconds),))
        else:
            plain.execute("SET SESSION max_execution_time = %s", (max(1, int(seconds * 1000)),))
        plain.execute(f"SET SESSION TRANSACTION {mode}")
        names = [f"@sw_{i}" for i in range(len(statement.values))]
        if names:
            plain.execute(
                "SET " + ", ".join(f"{n} = %s" for n in names), [_parameter(value) for value in statement.values]
            )
        plain.execute("PREPARE sw FROM %s", (statement.text,))
        plain.execute(f"START TRANSACTION {mode}")
    try:
        outputs = _executed(server, call, "EXECUTE sw" + (" USING " + ", ".join(names) if names else ""))
    except BaseException:  # what was begun is undone, also for a node whose time is over
        if server.open:
            server.rollback()
        raise
    if server.open:
        server.commit()
    return outputs


def _executed(server: Connection[Any], call: Call, command: str) -> Outputs:
    config = call.config
    cursor = server.cursor(SSCursor)
    changed = cursor.execute(command)
    inner: Any = cursor  # what PyMySQL's description leaves out: a column's character set
    fields = inner._result.fields if cursor.description else []
    kinds: list[tuple[int, int]] = [(f.type_code, f.charsetnr) for f in fields]
    kept = Rows(
        [f.name for f in fields],
        [_type(*kind) for kind in kinds],
        int(config.get("max_rows", 1000)),
        config.get("when_more", "fail") == "cut",
    )
    if not kinds:
        cursor.close()
        return {**kept.outputs(), "row_count": changed}
    try:
        while (row := cursor.fetchone()) is not None:
            values = [_value(v, *kind) for v, kind in zip(row, kinds, strict=True)]
            # A change has to be read to its end, or it would be undone.
            if not kept.add(values) and config.get("read_only", True):
                _abandon(server, cursor)
                break
    except NodeError:
        _abandon(server, cursor)
        raise
    cursor.close()
    outputs = kept.outputs()
    call.usage.update(rows=outputs["row_count"], bytes=kept.size)
    return outputs


def _abandon(server: Any, cursor: Any) -> None:
    """Read no further: the connection is given up, for all rows would still have to come through it."""
    cursor._result.unbuffered_active = False
    cursor._result.connection = None
    server._force_close()


def _type(code: int, charset: int) -> str:
    if code == FIELD_TYPE.BLOB:
        return "blob" if charset == _BINARY else "text"
    if code in (FIELD_TYPE.STRING, FIELD_TYPE.VAR_STRING) and charset == _BINARY:
        return "binary"
    return _NAMES.get(code, "other")


def _value(value: Any, code: int, charset: int) -> Any:
    if value is None:
        return None
    if code == FIELD_TYPE.BIT:
        return number(str(int.from_bytes(value, "big")))
    if code in (FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP):
        return str(value).replace(" ", "T", 1) + ("Z" if code == FIELD_TYPE.TIMESTAMP else "")
    if code == FIELD_TYPE.JSON:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode() if charset == _BINARY else value.decode(errors="replace")
    if isinstance(value, (bool, str)):
        return value
    return number(str(value))


def _parameter(value: Any) -> Any:
    """An object or a list is JSON text."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value


def _node_error(error: pymysql.MySQLError, seconds: float) -> NodeError:
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    if code in _TIMED_OUT:
        return NodeError("Timeout", f"the server stopped the statement after {seconds:g} seconds")
    if code == 1792:
        return NodeError("ReadOnly", "the statement writes, and read_only is set", retryable=False)
    if code in _CONFLICT:
        return NodeError("Conflict", f"the server gave up the transaction ({code})")
    if code in _CONSTRAINT:
        return NodeError("ConstraintViolation", f"a constraint forbids it ({code})", retryable=False)
    if code in _DENIED:
        return NodeError("PermissionDenied", f"the user may not do that ({code})", retryable=False)
    if code == 2013 and "timed out" in str(error):
        return NodeError("Timeout", f"no answer within {seconds:g} seconds")
    if not code or code in _LOST:
        return NodeError("ConnectionFailed", "the connection was lost, or the server takes no more")
    # Other messages quote values of rows.
    said = f": {str(error.args[1])[:300]}" if code in _TELLING and len(error.args) > 1 else ""
    return NodeError("QueryFailed", f"the server refused the statement ({code}){said}", retryable=False)
