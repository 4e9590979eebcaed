"""One statement at PostgreSQL. Loads psycopg, so import it when needed."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final, cast

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor, generators, pq
from psycopg.abc import PQGen
from psycopg.adapt import Buffer, Loader
from psycopg.types.json import Jsonb

from shared.nodes.base import Call, NodeError, Outputs
from shared.nodes.databases._reaching import connection
from shared.nodes.databases._sql import Rows, Statement, number
from shared.nodes.world import Credential
from shared.outbound.postgres import POSTGRES

_TEXTUAL: Final = ["date", "time", "timetz", "interval", "uuid", "inet", "cidr", "record"]
_RANGES: Final = ["int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange"]
_CHUNK: Final = 20  # rows in memory before the cap on bytes is looked at


async def run(call: Call, found: Credential, statement: Statement, seconds: float) -> Outputs:
    """Its rows, or how many rows it changed, committed. Raises NodeError."""
    async with connection(POSTGRES, found, call) as server:
        try:
            _adapt(server)
            return await _in_transaction(server, call, statement, seconds)
        except psycopg.Error as error:
            raise _node_error(error, seconds) from None
        except UnicodeError:
            raise NodeError("InvalidInput", "query or params hold text that cannot be sent", retryable=False) from None


async def _in_transaction(server: AsyncConnection[Any], call: Call, statement: Statement, seconds: float) -> Outputs:
    begin = (
        f"BEGIN {'READ ONLY' if call.config.get('read_only', True) else 'READ WRITE'}; "
        f"SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}; SET LOCAL timezone = 'UTC'; "
        "SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = 'iso_8601'; SET LOCAL bytea_output = 'hex'"
    )
    await server.execute(begin)
    outputs = await _done(server, call, statement)
    await server.execute("COMMIT")
    return outputs


class _Streamed(AsyncRawCursor[Any]):
    """A stream of rows that also takes a statement without rows, and knows the columns when there is no row.

    A stream is always one statement to the server, in whose text it takes no second one.
    """

    ended: pq.abc.PGresult | None = None

    def _stream_fetchone_gen(self, first: bool) -> PQGen[pq.abc.PGresult | None]:
        result = yield from generators.fetch(self._pgconn)
        if result is None:
            return None
        if result.status in (pq.ExecStatus.SINGLE_TUPLE, pq.ExecStatus.TUPLES_CHUNK):
            self.pgresult = result
            self._tx.set_pgresult(result, set_loaders=first)
            if first:
                self._make_row = self._make_row_maker()
            return cast(pq.abc.PGresult, result)
        if result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            self._raise_for_result(result)
        self.ended = result
        if first:
            self.pgresult = result
        while (yield from generators.fetch(self._pgconn)) is not None:
            pass
        return None


async def _done(server: AsyncConnection[Any], call: Call, statement: Statement) -> Outputs:
    cursor = _Streamed(server)
    size = _CHUNK if psycopg.capabilities.has_stream_chunked() else 1
    source = cursor.stream(statement.text.encode(), [_parameter(v) for v in statement.values], size=size)
    kept: Rows | None = None
    # Closed when this is left early: that ends the statement at the server.
    async with aclosing(cast(AsyncGenerator[Any, None], source)) as stream:
        async for row in stream:
            kept = kept or _kept(cursor, call)
            # A change has to be read to its end, or it would be undone.
            if not kept.add(row) and call.config.get("read_only", True):
                break
    outputs = (kept or _kept(cursor, call)).outputs()
    if cursor.ended is not None and not outputs["columns"]:
        outputs["row_count"] = cursor.ended.command_tuples or 0
    call.usage.update(rows=outputs["row_count"], bytes=kept.size if kept else 0)
    return outputs


def _kept(cursor: AsyncRawCursor[Any], call: Call) -> Rows:
    columns = cursor.description or []
    types = [c.type_display.split("(")[0] for c in columns]
    names = [c.name for c in columns]
    config = call.config
    return Rows(names, types, int(config.get("max_rows", 1000)), config.get("when_more", "fail") == "cut")


def _parameter(value: Any) -> Any:
    """An object is jsonb, and so is a list that holds objects, lists or values of several kinds; others are arrays."""
    if isinstance(value, dict):
        return Jsonb(value)
    if isinstance(value, list):
        kinds = {type(v) for v in value if v is not None}
        if len(kinds - {int, float}) + bool(kinds & {int, float}) > 1 or kinds & {dict, list}:
            return Jsonb(value)
        return [float(v) if kinds == {int, float} and v is not None else v for v in value]
    return value


class _Text(Loader):
    def load(self, data: Buffer) -> Any:
        return bytes(data).decode(errors="replace")


class _Moment(_Text):
    def load(self, data: Buffer) -> Any:
        text: str = super().load(data)
        return text.replace(" ", "T", 1).replace("+00", "Z") if text[0].isdigit() and " BC" not in text else text


class _Number(_Text):
    def load(self, data: Buffer) -> Any:
        return number(super().load(data))


class _Json(_Text):
    def load(self, data: Buffer) -> Any:
        text: str = super().load(data)
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text


class _Bytes(_Text):
    def load(self, data: Buffer) -> Any:
        text: str = super().load(data)
        return base64.b64encode(bytes.fromhex(text.removeprefix("\\x"))).decode()


def _adapt(server: AsyncConnection[Any]) -> None:
    loaders: Sequence[tuple[str, type[Loader]]] = [
        *((name, _Text) for name in (*_TEXTUAL, *_RANGES)),
        *((f"{name[:-5]}multirange", _Text) for name in _RANGES),
        *((name, _Moment) for name in ("timestamp", "timestamptz")),
        *((name, _Number) for name in ("int8", "numeric", "float4", "float8")),
        *((name, _Json) for name in ("json", "jsonb")),
        ("bytea", _Bytes),
    ]
    for name, loader in loaders:
        server.adapters.register_loader(name, loader)


def _node_error(error: psycopg.Error, seconds: float) -> NodeError:
    state = error.sqlstate or ""
    if isinstance(error, psycopg.errors.QueryCanceled):
        return NodeError("Timeout", f"the server stopped the statement after {seconds:g} seconds")
    if state == "25006":
        return NodeError("ReadOnly", "the statement writes, and read_only is set", retryable=False)
    if state.startswith("23"):
        return NodeError("ConstraintViolation", _said(error), retryable=False)
    if state == "42501":
        return NodeError("PermissionDenied", _said(error), retryable=False)
    if state.startswith(("40", "55P03")):
        return NodeError("Conflict", f"the server gave up the transaction: {_said(error)}")
    if not state and isinstance(error, (psycopg.DataError, psycopg.ProgrammingError, psycopg.NotSupportedError)):
        return NodeError("InvalidInput", "params hold a value that PostgreSQL has no type for", retryable=False)
    if not state or state.startswith(("08", "57P", "53")):
        return NodeError("ConnectionFailed", "the connection was lost, or the server takes no more")
    return NodeError("QueryFailed", _said(error), retryable=False)


def _said(error: psycopg.Error) -> str:
    """The server's main message, without details, which repeat rows, and with values in it left out where it can be."""
    message = error.diag.message_primary or "the server refused the statement"
    if (error.sqlstate or "").startswith("22"):  # data exceptions quote the value
        message = message.split(":", 1)[0]
    return f"{message[:300]} ({error.sqlstate})"
