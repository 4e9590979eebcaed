"""Connections to a tenant's own servers that are no HTTP: checked addresses, one set of failures, TLS, reuse."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

from shared.outbound.hosts import AddressRefused, NameNotFound, checked_addresses
from shared.outbound.warm import warm

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")
Failure = Literal["BlockedAddress", "DnsError", "Timeout", "ConnectionFailed", "AuthenticationFailed", "InvalidInput"]
CONNECT_SECONDS: Final = 10.0
_TRUSTED_SECONDS: Final = 60.0  # an idle connection older than this may have been dropped on the way, unnoticed
_MOST_IDLE: Final = 16


class NotConnected(Exception):
    """There is no connection to be had. `message` is for people and holds no secret."""

    def __init__(self, error: Failure, message: str) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error
        self.message = message


async def addresses(host: str, port: int, allowed: frozenset[str]) -> list[str]:
    """Where to connect to. Raises NotConnected."""
    try:
        return await checked_addresses(host, port, allowed, CONNECT_SECONDS)
    except AddressRefused as error:
        raise NotConnected("BlockedAddress", str(error)) from None
    except NameNotFound as error:
        raise NotConnected("DnsError", str(error)) from None
    except TimeoutError:
        raise NotConnected("Timeout", f"{host} was not looked up in time") from None


async def dialled(found: Sequence[str], port: int) -> socket.socket:
    """A connection to the first of these checked addresses that takes one; they share CONNECT_SECONDS.

    Raises OSError, of which TimeoutError is one.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + CONNECT_SECONDS
    last: OSError = OSError("there is no address")
    for tried, address in enumerate(found):
        try:
            with ExitStack() as opened:
                link = opened.enter_context(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET))
                link.setblocking(False)
                async with asyncio.timeout((until - loop.time()) / (len(found) - tried)):
                    await loop.sock_connect(link, (address, port))
                opened.pop_all()  # it stays open
                return link
        except OSError as error:  # also where the machine has no IPv6
            last = error
    raise last


def tls_context(mode: str, ca: str | None) -> ssl.SSLContext | None:
    """For `off`, `require` or `verify`, trusting the usual authorities and those in `ca` (PEM).

    Raises NotConnected where `ca` cannot be read.
    """
    import ssl

    import certifi

    if mode == "off":
        return None
    context = ssl.create_default_context(cafile=certifi.where())
    if mode == "require":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if ca:
        try:
            context.load_verify_locations(cadata=ca)
        except (ssl.SSLError, ValueError):
            raise NotConnected("InvalidInput", "the credential's certificate authority is no PEM") from None
    return context


@dataclass(frozen=True, slots=True)
class Way(Generic[T]):
    """How connections of one kind are treated. `settle` clears what a user left in the session."""

    open: Callable[[Mapping[str, Any], frozenset[str]], Awaitable[T]]
    close: Callable[[T], Awaitable[None]]
    alive: Callable[[T], Awaitable[bool]]
    settle: Callable[[T], Awaitable[None]]


@dataclass
class _Idle:
    held: list[tuple[Hashable, float, Any, Callable[[Any], Awaitable[None]]]] = field(default_factory=list)

    async def close(self) -> None:
        while self.held:
            _, _, connection, close = self.held.pop()
            await _quietly(close(connection))


@asynccontextmanager
async def connected(way: Way[T], values: Mapping[str, Any], allowed: frozenset[str]) -> AsyncIterator[T]:
    """A connection for one user at a time. It is kept for the next one, unless its use ended in an exception.

    Raises NotConnected, and whatever its user raises.
    """
    idle = await warm("connections", _Idle, _Idle.close)
    key: Hashable = (way.open, allowed, tuple(sorted((name, str(value)) for name, value in values.items())))
    connection = await _taken(idle, key, way) or await way.open(values, allowed)
    try:
        yield connection
    except BaseException:  # in what state its user left it is not known
        await _quietly(way.close(connection))
        raise
    try:
        await asyncio.wait_for(way.settle(connection), 2)
    except Exception:  # whatever a driver raises: what was asked is done, only the connection is not kept
        await _quietly(way.close(connection))
        return
    except BaseException:  # whoever had it has gone
        await _quietly(way.close(connection))
        raise
    idle.held.append((key, time.monotonic(), connection, way.close))
    if len(idle.held) > _MOST_IDLE:
        _, _, oldest, close = idle.held.pop(0)
        await _quietly(close(oldest))


async def _taken(idle: _Idle, key: Hashable, way: Way[T]) -> T | None:
    while (found := next((entry for entry in reversed(idle.held) if entry[0] == key), None)) is not None:
        idle.held.remove(found)
        _, since, connection, _ = found
        if time.monotonic() - since < _TRUSTED_SECONDS and await _answers(way, connection):
            return connection  # type: ignore[no-any-return]
        await _quietly(way.close(connection))
    return None


async def _answers(way: Way[T], connection: T) -> bool:
    try:
        async with asyncio.timeout(2):
            return await way.alive(connection)
    except Exception:  # whatever a driver raises for a connection that is gone
        return False
    except BaseException:  # whoever wanted it has gone, and nobody else holds it
        await _quietly(way.close(connection))
        raise


async def _quietly(closing: Awaitable[None]) -> None:
    with suppress(Exception):
        await asyncio.wait_for(closing, 2)
