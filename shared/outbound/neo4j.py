"""Neo4j, and what speaks its protocol (Neptune, Memgraph), at an address that was checked. Loads the driver late.

The driver looks names up by itself and follows a cluster's routing table; neither may happen unchecked. So every
connection is a direct one to an address that was checked here, and TLS still verifies the name.
"""

from __future__ import annotations

import asyncio
import json
import math
import ssl
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, Final
from urllib.parse import urlsplit

from shared.outbound.hosts import AddressRefused, NameNotFound, checked_addresses

_PORT: Final = 7687
_MAX_ROWS: Final = 10_000
_MAX_BYTES: Final = 20_000_000  # of the rows as JSON, as for rows of SQL
_CONNECT_SECONDS: Final = 10.0
_OF_THE_TEXT: Final = frozenset({"SyntaxError", "SemanticError", "ParameterMissing"})  # what is wrong with a query


class Refused(Exception):
    """There is no answer. `error` is a node's error name; the message holds no secret."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error
        self.message = message


class _Named(ssl.SSLContext):
    """Verifies a certificate against this name, whatever address it was reached at."""

    name: str

    def wrap_bio(self, *arguments: Any, **more: Any) -> ssl.SSLObject:
        """As ever, with the name."""
        return super().wrap_bio(*arguments, **{**more, "server_hostname": self.name})


async def ask(
    values: Mapping[str, Any],
    query: str,
    params: Mapping[str, Any],
    *,
    write: bool,
    seconds: float,
    allowed: frozenset[str],
) -> list[dict[str, Any]]:
    """The rows of a query, run once, in a transaction of its own. `values` are a credential's. Raises Refused."""
    try:
        async with asyncio.timeout(seconds):
            return await _ask(values, query, params, write=write, seconds=seconds, allowed=allowed)
    except TimeoutError:
        raise Refused("Timeout", f"there was no answer within {seconds:g} seconds") from None


async def _ask(
    values: Mapping[str, Any],
    query: str,
    params: Mapping[str, Any],
    *,
    write: bool,
    seconds: float,
    allowed: frozenset[str],
) -> list[dict[str, Any]]:
    import neo4j
    from neo4j import exceptions

    address, options = await _where(values, allowed, min(_CONNECT_SECONDS, seconds))
    user = values.get("username")
    given = {
        "auth": (user, values.get("password", "")) if user else None,
        "connection_acquisition_timeout": min(_CONNECT_SECONDS, seconds),
        "max_transaction_retry_time": 0,
        "telemetry_disabled": True,
        **options,
    }
    access = neo4j.WRITE_ACCESS if write else neo4j.READ_ACCESS
    try:
        async with (
            neo4j.AsyncGraphDatabase.driver(address, **given) as driver,
            driver.session(database=values.get("database"), default_access_mode=access) as session,
        ):
            result = await session.run(neo4j.Query(query, timeout=seconds), dict(params))
            rows = await _rows(result)
            await result.consume()
    except exceptions.AuthError:
        raise Refused("WrongCredential", "the server does not take the user name and password") from None
    except exceptions.ClientError as error:
        code = str(error.code or "")
        if "TransactionTimedOut" in code:
            raise Refused("Timeout", f"the query took more than {seconds:g} seconds") from None
        if "AccessMode" in code or "Forbidden" in code:
            raise Refused("ReadOnly", "the server refuses to write here") from None
        # Other messages quote values: of parameters, and of what is in the database.
        said = f": {str(error.message or '')[:1000]}" if code.rpartition(".")[2] in _OF_THE_TEXT else ""
        raise Refused("QueryFailed", f"{code[:200]}{said}") from None
    except exceptions.TransientError as error:
        raise Refused("Unavailable", f"the server asks to try again ({error.code})") from None
    except TimeoutError:
        raise
    except (exceptions.Neo4jError, exceptions.DriverError, OSError, ValueError, TypeError) as error:
        raise Refused("ConnectionFailed", f"the connection failed ({type(error).__name__})") from None
    return rows


async def _rows(result: Any) -> list[dict[str, Any]]:
    """The rows, counted as they come: the driver holds none that was not asked for."""
    rows: list[dict[str, Any]] = []
    size = 0
    async for record in result:
        if len(rows) == _MAX_ROWS:
            raise Refused("ResultTooLarge", f"there are more than {_MAX_ROWS:,} rows; LIMIT them")
        row = {k: _plain(v) for k, v in dict(record).items()}
        size += len(json.dumps(row))
        if size > _MAX_BYTES:
            raise Refused("ResultTooLarge", f"the rows are over {_MAX_BYTES:,} bytes as JSON")
        rows.append(row)
    return rows


async def _where(values: Mapping[str, Any], allowed: frozenset[str], seconds: float) -> tuple[str, dict[str, Any]]:
    """The first checked address as the driver takes it, all of them to be tried in turn, and how it is encrypted."""
    try:
        parts = urlsplit(str(values["uri"]))
        host, port = parts.hostname or "", parts.port or _PORT
    except ValueError:
        raise Refused("ConnectionFailed", "the address of the credential is none") from None
    try:
        found = await checked_addresses(host, port, allowed, None)
    except AddressRefused as error:
        raise Refused("BlockedAddress", str(error)) from None
    except NameNotFound as error:
        raise Refused("DnsError", str(error)) from None
    address = f"[{found[0]}]" if ":" in found[0] else found[0]
    options: dict[str, Any] = {
        "resolver": lambda _: [(each, port) for each in found],
        "connection_timeout": seconds / len(found),  # for each of them
    }
    safety = parts.scheme.partition("+")[2]
    if not safety:
        return f"bolt://{address}:{port}", {**options, "encrypted": False}
    context = _Named(ssl.PROTOCOL_TLS_CLIENT)
    context.name = host
    if safety == "ssc":  # a certificate of the server's own making
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    else:
        context.load_default_certs()
    return f"bolt://{address}:{port}", {**options, "ssl_context": context}


def _plain(value: Any) -> Any:
    """A value of the driver's as JSON, graphs in the shapes of `shared.graphs.values`."""
    from neo4j.graph import Node, Path, Relationship

    if isinstance(value, Node):
        return {"id": value.element_id, "labels": sorted(value.labels), "properties": _plain(dict(value))}
    if isinstance(value, Relationship):
        ends = {n: end.element_id if end else None for n, end in (("start", value.start_node), ("end", value.end_node))}
        return {"id": value.element_id, "type": value.type, **ends, "properties": _plain(dict(value))}
    if isinstance(value, Path):
        return {"nodes": [_plain(n) for n in value.nodes], "edges": [_plain(r) for r in value.relationships]}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.isoformat() if isinstance(value, date | datetime | time) else str(value)
