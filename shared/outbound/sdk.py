"""The guarded transport for SDKs that speak httpx2, and how they tell why a connection was not made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx
import httpx2

from shared.outbound.hosts import AddressRefused, NameNotFound
from shared.outbound.transport import PublicTransport, shared_transport
from shared.outbound.warm import warm

MAX_BYTES: Final = 50_000_000


class AnswerTooLarge(Exception):
    """An answer is over the limit, or compressed although it was not to be."""


class _Body(httpx2.AsyncByteStream):
    def __init__(self, response: httpx.Response, most: int | None) -> None:
        self._response = response
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        with _as_httpx2():
            async for part in self._response.stream:  # type: ignore[union-attr]
                size += len(part)
                if self._most is not None and size > self._most:
                    raise AnswerTooLarge(f"the answer is over {self._most:,} bytes")
                yield part

    async def aclose(self) -> None:
        await self._response.aclose()


class PublicTransport2(httpx2.AsyncBaseTransport):
    """Hands httpx2's requests to the transport for tenants' requests, which it does not close.

    With `most` it takes so many bytes of an answer, and none that is compressed: what that comes to nobody knows.
    """

    def __init__(self, inner: PublicTransport, most: int | None = None) -> None:
        self._inner = inner
        self._most = most

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it. Raises AddressRefused, NameNotFound, AnswerTooLarge, and httpx2's own errors."""
        if self._most is not None:
            request.headers["accept-encoding"] = "identity"
        same = httpx.Request(
            request.method,
            str(request.url),
            headers=request.headers.raw,
            content=await request.aread(),
            extensions=dict(request.extensions),
        )
        with _as_httpx2():
            answer = await self._inner.handle_async_request(same)
        if self._most is not None and answer.headers.get("content-encoding", "identity") != "identity":
            await answer.aclose()
            raise AnswerTooLarge("the answer is compressed, although it was not to be")
        return httpx2.Response(
            answer.status_code,
            headers=answer.headers.raw,
            stream=_Body(answer, self._most),
            extensions=dict(answer.extensions),
        )


@contextmanager
def _as_httpx2() -> Iterator[None]:
    """httpx's errors as httpx2's; each has its namesake."""
    try:
        yield
    except httpx.TransportError as error:
        raise getattr(httpx2, type(error).__name__)(str(error)) from error


async def sdk_client(allowed: frozenset[str]) -> httpx2.AsyncClient:
    """The event loop's one client for SDKs that reach what a tenant names. Do not close it.

    It follows no redirects, and keeps no cookies: all tenants share it.
    """
    transport = PublicTransport2(await shared_transport(allowed), MAX_BYTES)

    def make() -> httpx2.AsyncClient:
        none = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        return httpx2.AsyncClient(transport=transport, trust_env=False, follow_redirects=False, cookies=none)

    return await warm(("sdk", allowed), make, httpx2.AsyncClient.aclose)


def refusal(error: BaseException) -> AddressRefused | NameNotFound | AnswerTooLarge | None:
    """What the transport raised, where an SDK has wrapped it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (AddressRefused, NameNotFound, AnswerTooLarge)):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None
