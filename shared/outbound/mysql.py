"""A connection to a tenant's MySQL or MariaDB. Loads PyMySQL, so import it when needed. PyMySQL blocks: use threads."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import pymysql
from pymysql.connections import Connection
from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions, convert_bit

from shared.outbound.connections import CONNECT_SECONDS, NotConnected, Way, addresses, dialled, tls_context

_REFUSED: Final = frozenset({1044, 1045, 1049, 1130, 1698})  # user, password, database, host
_RESET: Final = 0x1F  # COM_RESET_CONNECTION: PyMySQL has no name for it
# Dates stay the server's text: a value such as 0000-00-00 has no Python type.
_TEXTUAL: Final = (FIELD_TYPE.DATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP, FIELD_TYPE.TIME)
_READ: Final[dict[Any, Any]] = {k: v for k, v in conversions.items() if k not in _TEXTUAL} | {
    FIELD_TYPE.BIT: convert_bit
}
SESSION: Final = "SET NAMES utf8mb4, autocommit = 1, time_zone = '+00:00'"


async def _open(values: Mapping[str, Any], allowed: frozenset[str]) -> Connection[Any]:
    host, port = str(values["host"]).strip("[]"), int(values.get("port", 3306))
    found = await addresses(host, port, allowed)
    context = tls_context(str(values.get("tls", "verify")), values.get("ca"))
    try:
        link = await dialled(found, port)
    except TimeoutError:
        raise NotConnected("Timeout", f"{host} did not take the connection in time") from None
    except OSError:
        raise NotConnected("ConnectionFailed", f"{host} cannot be reached") from None
    link.settimeout(CONNECT_SECONDS)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opening = asyncio.ensure_future(asyncio.to_thread(_connected, host, port, link, values, context))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_dropped)
        with suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)  # the thread that reads from it ends at once
        raise


def _dropped(opening: asyncio.Future[Connection[Any]]) -> None:
    """Nobody waits any more for a connection that has come."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _connected(host: str, port: int, link: socket.socket, values: Mapping[str, Any], context: Any) -> Connection[Any]:
    try:
        connection: Connection[Any] = Connection(
            host=host,  # for TLS; the connection goes to the checked address
            port=port,
            user=str(values["username"]),
            password=str(values["password"]),
            database=str(values["database"]),
            charset="utf8mb4",
            ssl=context,
            ssl_disabled=context is None,
            conv=_READ,
            init_command=SESSION,
            read_timeout=CONNECT_SECONDS,
            write_timeout=CONNECT_SECONDS,
            local_infile=False,
            program_name="statewright",
            defer_connect=True,
        )
        connection.connect(link)
    except pymysql.MySQLError as error:
        link.close()
        code = error.args[0] if error.args else 0
        if code in _REFUSED:
            raise NotConnected("AuthenticationFailed", f"{host} refuses this user, password or database") from None
        raise NotConnected("ConnectionFailed", f"no connection to {host} as the credential wants it") from None
    except (OSError, UnicodeError, RuntimeError, ValueError):
        link.close()
        raise NotConnected("ConnectionFailed", f"no connection to {host} as the credential wants it") from None
    return connection


async def _close(connection: Connection[Any]) -> None:
    if connection.open:
        await asyncio.to_thread(connection.close)


async def _alive(connection: Connection[Any]) -> bool:
    await asyncio.to_thread(connection.ping, reconnect=False)
    return True


async def _settle(connection: Connection[Any]) -> None:
    inner: Any = connection  # the two calls that PyMySQL's own `ping` is made of

    def reset() -> None:
        inner._execute_command(_RESET, b"")
        inner._read_ok_packet()
        connection.query(SESSION)

    await asyncio.to_thread(reset)


MYSQL: Final[Way[Connection[Any]]] = Way(_open, _close, _alive, _settle)
