"""What can go wrong with an MCP server, as failures of the node that asked. Loads the MCP SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

import httpx2
from mcp import MCPError
from mcp_types import CONNECTION_CLOSED, INVALID_PARAMS, METHOD_NOT_FOUND, REQUEST_TIMEOUT
from pydantic import ValidationError

from shared.nodes.base import NodeError
from shared.outbound.hosts import AddressRefused, NameNotFound
from shared.outbound.statuses import leaves_open, worth_another_try

_ANSWERS: Final = 5  # full ones, in one session


class TooMuch(Exception):
    """An answer has more bytes than it may."""


class Seen:
    """What passed on the wire: the SDK keeps statuses and broken connections to itself.

    `most` bytes an answer, and five times as many in all: a list has pages, and each of them is an answer.
    """

    def __init__(self, server: str, most: int) -> None:
        self.server = server
        self.most = most
        self.received = 0  # bytes
        self._secrets: set[str] = set()
        self.begin(())

    def begin(self, secrets: Sequence[str]) -> None:
        """A new connection, with these texts of the credential that no message may hold."""
        self._secrets.update(secrets)
        self.status = 0
        self.retry_after: float | None = None
        self.failure: Exception | None = None

    def watching(self, inner: httpx2.AsyncBaseTransport) -> httpx2.AsyncBaseTransport:
        """A transport that tells what happens to the messages sent."""
        return _Watching(inner, self)

    def without_secrets(self, text: str, most: int) -> str:
        """The text with nothing of the credential in it, cut only then to so many characters."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "…")
        return text[:most]


class _Body(httpx2.AsyncByteStream):
    def __init__(self, answer: httpx2.Response, seen: Seen) -> None:
        self._answer = answer
        self._seen = seen

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._seen.most
        async for part in self._answer.aiter_raw():
            left -= len(part)
            self._seen.received += len(part)
            if left < 0 or self._seen.received > _ANSWERS * self._seen.most:
                self._seen.failure = TooMuch()
                raise self._seen.failure
            yield part

    async def aclose(self) -> None:
        await self._answer.aclose()


class _Watching(httpx2.AsyncBaseTransport):
    def __init__(self, inner: httpx2.AsyncBaseTransport, seen: Seen) -> None:
        self._inner = inner
        self._seen = seen

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            answer = await self._inner.handle_async_request(request)
        except Exception as error:  # noted for whoever asks why, and raised
            self._seen.failure = error
            raise
        if request.method == "POST":  # servers may refuse the stream (GET) and the end of a session (DELETE)
            self._seen.status = answer.status_code
            after = answer.headers.get("retry-after", "")
            self._seen.retry_after = float(after) if after.isdecimal() and len(after) < 7 else None
        # Unpacked, an answer could have any size: what comes packed although we take it plain only, stays packed.
        headers = [(name, value) for name, value in answer.headers.raw if name.lower() != b"content-encoding"]
        body = _Body(answer, self._seen)
        return httpx2.Response(answer.status_code, headers=headers, stream=body, extensions=answer.extensions)


# What the SDK says for a server that answered with a status and nothing else.
_OF_THE_SDK: Final = frozenset({"Server returned an error response", "Not Found", "Session terminated"})


def node_error(error: Exception, seen: Seen) -> NodeError:
    """The failure that stands behind an error, which may be a group of several."""
    found = list(_leaves(error))
    for each in found:
        if isinstance(each, NodeError):
            said_of = seen.without_secrets(each.message, 2_000)
            wait, again = each.retry_after, each.retryable
            return NodeError(each.error, said_of, retry_after=wait, retryable=again, unsure=each.unsure)
    for cause in (*found, seen.failure):
        known = _of_the_wire(cause, seen)
        if known is not None:
            return known
    said = next((each for each in found if isinstance(each, MCPError)), None)
    if seen.status in (401, 403) or (seen.status >= 400 and (said is None or said.message in _OF_THE_SDK)):
        return _of_status(seen.status, seen)
    if said is not None:
        return _of_the_server(said, seen)
    for each in found:
        if isinstance(each, OSError):
            return NodeError("ConnectionFailed", f"{seen.server} could not be started: {type(each).__name__}")
    return NodeError("InvalidResponse", f"{seen.server} answered what is not MCP")


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def _of_the_wire(error: BaseException | None, seen: Seen) -> NodeError | None:
    match error:
        case AddressRefused():
            return NodeError("BlockedAddress", str(error), retryable=False)
        case NameNotFound():
            return NodeError("DnsError", str(error))
        case TooMuch():
            return NodeError("ResponseTooLarge", f"an answer of {seen.server} is too large", retryable=False)
        case httpx2.SSEError() if "limit" in str(error):
            return NodeError("ResponseTooLarge", f"an answer of {seen.server} is too large", retryable=False)
        case httpx2.SSEError():
            return NodeError("InvalidResponse", f"{seen.server} answered what is not MCP")
        case httpx2.HTTPStatusError():
            return _of_status(error.response.status_code, seen)
        case httpx2.TransportError():
            return NodeError("ConnectionFailed", f"the connection to {seen.server} failed: {type(error).__name__}")
        case ValidationError():
            return NodeError("InvalidResponse", f"{seen.server} answered what is not MCP")
    return None


def _of_status(status: int, seen: Seen) -> NodeError:
    if status in (401, 403):
        return NodeError("AuthenticationFailed", f"{seen.server} answered {status}", retryable=False)
    again, unsure = worth_another_try(status), leaves_open(status)
    message = f"{seen.server} answered {status}"
    return NodeError("HttpError", message, retry_after=seen.retry_after, retryable=again, unsure=unsure)


_CODES: Final[dict[int, tuple[str, bool]]] = {
    CONNECTION_CLOSED: ("ConnectionFailed", True),
    REQUEST_TIMEOUT: ("Timeout", True),
    METHOD_NOT_FOUND: ("NotSupported", False),
    INVALID_PARAMS: ("InvalidArguments", False),
}


def _of_the_server(error: MCPError, seen: Seen) -> NodeError:
    name, retryable = _CODES.get(error.code, ("ServerError", True))
    return NodeError(name, seen.without_secrets(f"{seen.server}: {error.message}", 1_000), retryable=retryable)
