"""A connection to a tenant's MongoDB. Loads pymongo, so import it when needed.

The driver looks names up itself and follows whatever hosts a server names. So it is given no host at all, but a socket
in a private folder, and told to look no further. Behind the socket are checked addresses only; TLS is done there, too.
Of a replica set, the member that takes writes is the one that is used. Of the address's options only these count:
authSource, authMechanism (SCRAM), tls and ssl: others name files, or sign in as the function itself.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pymongo import AsyncMongoClient
from pymongo.asynchronous.uri_parser import parse_uri
from pymongo.errors import ConfigurationError, InvalidURI, OperationFailure, PyMongoError

from shared.outbound.connections import CONNECT_SECONDS, NotConnected, Way, addresses, tls_context

_MECHANISMS: Final = frozenset({"SCRAM-SHA-1", "SCRAM-SHA-256", None})
_MOST_HOSTS: Final = 8


@dataclass
class Mongo:
    """The database, and what its connection goes through."""

    client: AsyncMongoClient[dict[str, Any]]
    database: str
    relay: Relay


class Relay:
    """A socket in a private folder; what connects to it is connected to one checked address."""

    def __init__(self, host: str, port: int, found: list[str], context: Any) -> None:
        self._host = host
        self._port = port
        self._addresses = found
        self._context = context
        self._folder = Path(tempfile.mkdtemp(prefix="m-"))
        self._tasks: set[asyncio.Task[None]] = set()
        self.path = str(self._folder / "m.sock")
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen, if there is somebody to connect to. Raises OSError, TimeoutError."""
        _, writer = await self._connected()
        writer.close()
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def close(self) -> None:
        """End it, and what goes through it."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        far: asyncio.StreamWriter | None = None
        try:
            far_reader, far = await self._connected()
            copies = [asyncio.create_task(_copy(reader, far)), asyncio.create_task(_copy(far_reader, writer))]
            try:
                await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for copy in copies:
                    copy.cancel()
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # the near side is closed: that is what the driver gets to see
        finally:
            for end in (writer, far):
                if end is not None:
                    end.close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        name = self._host if self._context is not None else None
        for address in self._addresses[:-1]:
            with suppress(OSError, TimeoutError):
                return await self._connect(address, name)
        return await self._connect(self._addresses[-1], name)

    async def _connect(self, address: str, name: str | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        going = asyncio.open_connection(address, self._port, ssl=self._context, server_hostname=name)
        return await asyncio.wait_for(going, CONNECT_SECONDS)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


async def _open(values: Mapping[str, Any], allowed: frozenset[str]) -> Mongo:
    parsed = await _parsed(str(values["uri"]))
    options = parsed["options"]
    mechanism = options.get("authMechanism")
    if mechanism not in _MECHANISMS:
        raise NotConnected("InvalidInput", "the credential's address asks for an authMechanism other than SCRAM")
    context = tls_context("verify" if options.get("tls") else "off", values.get("ca"))
    last = NotConnected("ConnectionFailed", "no member of the replica set takes writes")
    for host, port in parsed["nodelist"][:_MOST_HOSTS]:
        if port is None:
            raise NotConnected("InvalidInput", "the credential's address names a file, no host")
        try:
            made = await _member(str(host), int(port), allowed, context, parsed, str(values["database"]))
        except NotConnected as error:
            if error.error in ("BlockedAddress", "AuthenticationFailed"):
                raise
            last = error
            continue
        if made is not None:
            return made
    raise last


async def _parsed(uri: str) -> dict[str, Any]:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return dict(await parse_uri(uri, validate=True, warn=False))
    except TimeoutError:
        raise NotConnected("Timeout", "the credential's host was not looked up in time") from None
    except (InvalidURI, ValueError):
        raise NotConnected("InvalidInput", "the credential's address cannot be read") from None
    except ConfigurationError:
        raise NotConnected("DnsError", "the credential's address cannot be read or does not resolve") from None


async def _member(
    host: str, port: int, allowed: frozenset[str], context: Any, parsed: Mapping[str, Any], database: str
) -> Mongo | None:
    """A connection to one member; None where it takes no writes."""
    relay = Relay(host, port, await addresses(host, port, allowed), context)
    try:
        await relay.start()
    except (OSError, TimeoutError) as error:
        await relay.close()
        if isinstance(error, TimeoutError):
            raise NotConnected("Timeout", f"{host} did not take the connection in time") from None
        raise NotConnected("ConnectionFailed", f"{host} cannot be reached as the credential wants it") from None
    except BaseException:  # what was opened is closed
        await relay.close()
        raise
    options: dict[str, Any] = {}
    if parsed["username"]:
        source = parsed["options"].get("authSource") or parsed.get("database") or "admin"
        options = {"username": parsed["username"], "password": parsed["password"], "authSource": source}
        if parsed["options"].get("authMechanism"):
            options["authMechanism"] = parsed["options"]["authMechanism"]
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        f"mongodb://{quote(relay.path, safe='')}",
        directConnection=True,
        serverSelectionTimeoutMS=int(CONNECT_SECONDS * 1000),
        connectTimeoutMS=int(CONNECT_SECONDS * 1000),
        maxPoolSize=1,
        tz_aware=True,
        **options,
    )
    made = Mongo(client, database, relay)
    try:
        hello = await client.admin.command("hello")
        await client[database].command("ping")
    except OperationFailure as error:
        await _close(made)
        if error.code in (13, 18, 8000):
            raise NotConnected("AuthenticationFailed", f"{host} refuses this user name and password") from None
        raise NotConnected("ConnectionFailed", f"{host} does not take the connection") from None
    except (PyMongoError, OSError):
        await _close(made)
        raise NotConnected("ConnectionFailed", f"{host} cannot be reached as the credential wants it") from None
    except BaseException:  # what was opened is closed
        await _close(made)
        raise
    if hello.get("isWritablePrimary", hello.get("ismaster", True)):
        return made
    await _close(made)
    return None


async def _close(held: Mongo) -> None:
    await held.client.close()
    await held.relay.close()


async def _alive(held: Mongo) -> bool:
    await held.client.admin.command("ping")
    return True


async def _settle(held: Mongo) -> None:
    """Each operation stands for itself."""


MONGODB: Final[Way[Mongo]] = Way(_open, _close, _alive, _settle)
