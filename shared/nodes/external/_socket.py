"""What `websocket` does on the wire. Loads websockets, so import it when needed."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from typing import Any, Final, NoReturn
from urllib.parse import urlencode, urlsplit, urlunsplit

import certifi
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI, PayloadTooBig
from websockets.typing import Subprotocol

from shared.nodes._credentials import http_signature
from shared.nodes.base import Call, NodeError
from shared.outbound.connections import NotConnected, addresses, dialled

_MAX_MESSAGE: Final = 5_000_000  # bytes
_MAX_TOTAL: Final = 20_000_000
_CONNECT_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 2.0


async def converse(call: Call) -> list[Any]:
    """Connect, send, collect. Raises NodeError."""
    message = _wire(call.inputs.get("message"))
    async with _connection(call) as connection:
        if message is not None:
            with _closed():
                await connection.send(message)
        return await _collected(call, connection) if call.config["count"] else []


@asynccontextmanager
async def _connection(call: Call) -> AsyncIterator[ClientConnection]:
    signature = await http_signature(call)
    url, host, port = _url(call.inputs["url"], signature.query)
    try:
        found = await addresses(host, port, call.world.allowed_hosts)
    except NotConnected as error:
        raise NodeError(error.error, error.message, retryable=error.error != "BlockedAddress") from None
    secure: dict[str, Any] = {"ssl": _tls()} if url.startswith("wss:") else {}
    opening = _Checked(
        found,
        url,
        host=host,  # redirects stay on this host
        port=port,
        proxy=None,
        open_timeout=_CONNECT_SECONDS,
        close_timeout=_CLOSE_SECONDS,
        max_size=_MAX_MESSAGE,
        additional_headers=dict(signature.headers),
        user_agent_header="statewright",
        subprotocols=[Subprotocol(name) for name in call.config.get("subprotocols", [])] or None,
        **secure,
    )
    with _opening(host):
        connection = await opening
    try:
        yield connection
    finally:
        await connection.close()


class _Checked(connect):
    """Goes to one of the addresses that were checked, not to the name: a second look-up may say something else."""

    def __init__(self, found: Sequence[str], url: str, **more: Any) -> None:
        super().__init__(url, **more)
        self._found = found

    async def open_tcp_connection(self) -> ClientConnection:
        """To the first address that takes the connection. Raises OSError."""
        given = self.create_connection_kwargs
        link = await dialled(self._found, given["port"])
        more = {name: value for name, value in given.items() if name not in ("host", "port")}
        self.create_connection_kwargs = {**more, "sock": link}
        try:
            return await super().open_tcp_connection()
        finally:
            self.create_connection_kwargs = given


async def _collected(call: Call, connection: ClientConnection) -> list[Any]:
    """Messages until there are enough, in the order in which they came."""
    found: list[Any] = []
    size, until = 0, call.config.get("until")
    # What has come by the end of the node's own time would be lost with it.
    seconds = min(float(call.config["seconds"]), max(call.timeout_seconds - 2, call.timeout_seconds / 2))
    try:
        async with asyncio.timeout(seconds):
            while len(found) < call.config["count"]:
                with _closed():
                    received = await connection.recv()
                size += len(received)
                if size > _MAX_TOTAL:
                    raise NodeError("ResponseTooLarge", f"over {_MAX_TOTAL:,} bytes have come", retryable=False)
                found.append(_value(received))
                if until and call.expressions.evaluate(until, {"message": found[-1]}) is True:
                    return found
    except TimeoutError:
        if until or not found:
            wanted = "the message that is waited for" if until else "a message"
            raise NodeError("Timeout", f"{wanted} did not come within {seconds:g} seconds") from None
    if until and len(found) >= call.config["count"]:
        raise NodeError("NoMatch", f"the message that is waited for was not among {len(found):,}")
    return found


def _wire(message: Any) -> str | None:
    if message is None or isinstance(message, str):
        return message
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _value(received: str | bytes) -> Any:
    if isinstance(received, bytes):
        return {"base64": base64.b64encode(received).decode(), "size": len(received)}
    try:
        return json.loads(received, parse_constant=_refused)
    except (ValueError, RecursionError):
        return received


def _refused(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are no JSON


def _url(given: Any, query: Mapping[str, str]) -> tuple[str, str, int]:
    """The address with a credential's parameters, its host and its port."""
    try:
        parts = urlsplit(str(given).strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("ws", "wss"):
        raise NodeError("InvalidInput", "url must be a full address with ws:// or wss://", retryable=False)
    if parts.username is not None or parts.password is not None:
        raise NodeError("InvalidInput", "url must not hold a user name or password; use a credential", retryable=False)
    joined = "&".join(p for p in (parts.query, urlencode(dict(query))) if p)
    whole = urlunsplit((parts.scheme, parts.netloc, parts.path or "/", joined, ""))
    return whole, host, port or (443 if parts.scheme == "wss" else 80)


@contextmanager
def _opening(host: str) -> Iterator[None]:
    try:
        yield
    except InvalidStatus as error:
        status = error.response.status_code
        name = "AuthenticationFailed" if status in (401, 403) else "Rejected"
        raise NodeError(name, f"{host} answered {status} instead of opening", retryable=status >= 500) from None
    except TimeoutError:
        raise NodeError("Timeout", f"{host} did not take the connection in time") from None
    except InvalidURI:
        raise NodeError("InvalidInput", "url cannot be read", retryable=False) from None
    except (InvalidHandshake, ValueError) as error:
        message = f"{host} did not open a WebSocket: {type(error).__name__}"
        raise NodeError("Rejected", message, retryable=False) from None
    except (OSError, EOFError) as error:
        raise NodeError("ConnectionFailed", f"the connection to {host} failed: {type(error).__name__}") from None


@contextmanager
def _closed() -> Iterator[None]:
    try:
        yield
    except ConnectionClosed as error:
        if isinstance(error.__cause__, PayloadTooBig) or (error.sent and error.sent.code == 1009):
            raise NodeError("ResponseTooLarge", f"a message is over {_MAX_MESSAGE:,} bytes", retryable=False) from None
        code = error.rcvd.code if error.rcvd else 1006
        raise NodeError("Closed", f"the server closed the connection ({code}) before enough had come") from None


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certifi.where())
