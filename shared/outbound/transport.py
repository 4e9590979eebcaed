"""HTTP to the outside on behalf of a tenant: an httpx transport that only connects to public addresses.

A host's name is resolved here, every address it has is checked, and the connection is made to the checked address
itself: what a second look-up would say does not matter. TLS still verifies the name. It holds for every connection
there is, so also for each hop of a redirect.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

import httpcore
import httpx

from shared.outbound.hosts import checked_addresses
from shared.outbound.warm import warm

_KEEP_ALIVE_SECONDS: Final = 5.0
_MAX_CONNECTIONS: Final = 200


class _PublicOnly(httpcore.AsyncNetworkBackend):
    """Opens connections to addresses it has checked."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = allowed
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A stream to the first of the host's addresses that answers. Raises AddressRefused, NameNotFound."""
        try:
            addresses = await checked_addresses(host, port, self._allowed, timeout)
        except TimeoutError:
            raise httpcore.ConnectTimeout("the name look-up took too long") from None
        for address in addresses[:-1]:
            try:
                return await self._sockets.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._sockets.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        """A pause between httpcore's own attempts."""
        await asyncio.sleep(seconds)


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for part in self._response.aiter_stream():
                yield part

    async def aclose(self) -> None:
        await self._response.aclose()


class PublicTransport(httpx.AsyncBaseTransport):
    """The transport for tenants' requests. `allowed` are `host:port` that may be private."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_tls(),
            max_connections=_MAX_CONNECTIONS,
            max_keepalive_connections=_MAX_CONNECTIONS,
            keepalive_expiry=_KEEP_ALIVE_SECONDS,
            network_backend=_PublicOnly(allowed),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it. Raises AddressRefused, NameNotFound, and httpx's own errors."""
        url = request.url
        with _as_httpx():
            answer = await self._pool.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


@contextmanager
def _as_httpx() -> Iterator[None]:
    """httpcore's errors as httpx's, which its users expect; each has its namesake."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


async def shared_transport(allowed: frozenset[str]) -> PublicTransport:
    """The event loop's one transport, so that connections stay warm between calls. Do not close it."""
    return await warm(("public", allowed), lambda: PublicTransport(allowed), PublicTransport.aclose)
