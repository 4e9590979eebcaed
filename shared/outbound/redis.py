"""A connection to a tenant's Redis. Loads redis, so import it when needed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from redis import exceptions
from redis.asyncio import Connection, ConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from shared.outbound.connections import CONNECT_SECONDS, NotConnected, Way, addresses, dialled, tls_context


class _Checked(Connection):
    """Goes to one of the addresses that were checked."""

    found: Sequence[str] = ()
    link: socket.socket

    async def _connect(self) -> None:
        async with asyncio.timeout(CONNECT_SECONDS):
            self.link = await dialled(self.found, self.port)
            connect: Callable[[], Awaitable[None]] = super()._connect
            await connect()

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {"sock": self.link}


class _CheckedTls(_Checked, SSLConnection):
    """The same; the certificate has to be for the name."""

    context: Any = None

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {"sock": self.link, "ssl": self.context, "server_hostname": self.host}


async def _open(values: Mapping[str, Any], allowed: frozenset[str]) -> Redis:
    host, port, database, user, password, tls = _parts(str(values["url"]))
    found = await addresses(host, port, allowed)
    kind: type[Connection] = type("_Here", (_Checked,), {"found": found})
    if tls:
        context = tls_context("verify", values.get("ca"))
        kind = type("_HereTls", (_CheckedTls,), {"found": found, "context": context})
    pool = ConnectionPool(
        kind,
        max_connections=1,
        host=host,
        port=port,
        db=database,
        username=user,
        password=password,
        protocol=2,  # no pushes: one of them sends clients to another host
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=None,
        driver_info=None,
    )
    client: Redis = Redis.from_pool(pool)
    try:
        await _alive(client)
    except exceptions.AuthenticationError:
        raise await _gone(client, "AuthenticationFailed", f"{host} refuses this user name and password") from None
    except exceptions.TimeoutError:
        raise await _gone(client, "Timeout", f"{host} did not take the connection in time") from None
    except exceptions.ResponseError as error:
        if str(error).startswith(("NOAUTH", "WRONGPASS", "NOPERM", "invalid")) or "auth" in str(error).lower():
            raise await _gone(client, "AuthenticationFailed", f"{host} refuses this user and password") from None
        raise await _gone(client, "ConnectionFailed", f"{host} refuses the connection or the database") from None
    except (exceptions.RedisError, OSError):
        raise await _gone(client, "ConnectionFailed", f"{host} cannot be reached") from None
    return client


async def _gone(client: Redis, error: Any, message: str) -> NotConnected:
    await _close(client)
    return NotConnected(error, message)


def _parts(url: str) -> tuple[str, int, int, str | None, str | None, bool]:
    """Host, port, database, user, password, TLS. Options in the URL could name files and are refused."""
    try:
        split = urlsplit(url)
        port = split.port or 6379
        database = int(split.path.strip("/") or 0)
    except ValueError:
        raise NotConnected("InvalidInput", "the credential's address cannot be read") from None
    if split.scheme not in ("redis", "rediss") or not split.hostname or split.query or split.fragment:
        raise NotConnected("InvalidInput", "the credential's address is redis[s]://user:password@host:port/number")
    user = unquote(split.username) if split.username else None
    password = unquote(split.password) if split.password is not None else None
    return split.hostname, port, database, user, password, split.scheme == "rediss"


async def _close(client: Redis) -> None:
    await client.aclose(close_connection_pool=True)


async def _alive(client: Any) -> bool:
    await client.execute_command("PING")
    return True


async def _settle(client: Redis) -> None:
    """Nothing that is let through leaves anything in the connection."""


REDIS: Final[Way[Redis]] = Way(_open, _close, _alive, _settle)
