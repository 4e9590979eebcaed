"""Connections by credential, with their failures as the node's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NoReturn, TypeVar

from shared.nodes.base import Call, NodeError
from shared.nodes.world import Credential
from shared.outbound.connections import NotConnected, Way, connected

T = TypeVar("T")
_FINAL: Final = frozenset({"BlockedAddress", "AuthenticationFailed", "InvalidInput"})  # another attempt is no use


@asynccontextmanager
async def connection(way: Way[T], found: Credential, call: Call) -> AsyncIterator[T]:
    """A connection as that credential. Raises NodeError with a `connections.Failure`."""
    # Only opening fails with NotConnected: what the connection is used for has errors of its own.
    try:
        async with connected(way, found.values, call.world.allowed_hosts) as made:
            yield made
    except NotConnected as error:
        failed(error)


def failed(error: NotConnected) -> NoReturn:
    """The failure as the node's. Raises NodeError."""
    raise NodeError(error.error, error.message, retryable=error.error not in _FINAL) from None
