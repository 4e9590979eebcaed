"""What the SDKs of OpenAI and Anthropic share: clients that are kept, addresses that are checked, errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2

from shared.nodes.base import NodeError
from shared.outbound.hosts import AddressRefused, NameNotFound, checked_addresses
from shared.outbound.sdk import AnswerTooLarge, refusal, sdk_client

T = TypeVar("T")


async def client_at(library: str, url: str, allowed: frozenset[str], make: Callable[[httpx2.AsyncClient], T]) -> T:
    """A client for an address that a tenant names. Raises NodeError.

    Its connections outlive it; it is not kept itself, for there are as many as tenants' keys.
    """
    logging.getLogger(library).setLevel(logging.WARNING)  # at DEBUG it writes whole requests
    await _check(url, allowed)
    return make(await sdk_client(allowed))


async def _check(url: str, allowed: frozenset[str]) -> None:
    """Say at once that an address is refused. (The connection is guarded as well; an SDK would try it again.)"""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise NodeError("InvalidInput", "the credential's address cannot be read", retryable=False) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NodeError("InvalidInput", "the credential's address cannot be read", retryable=False)
    try:
        await checked_addresses(parts.hostname, port, allowed, 10)
    except AddressRefused as error:
        raise NodeError("BlockedAddress", str(error), retryable=False) from None
    except NameNotFound as error:
        raise NodeError("DnsError", str(error)) from None
    except TimeoutError:
        raise NodeError("Timeout", "the name look-up took too long") from None


@contextmanager
def reaching() -> Iterator[None]:
    """What the transport raises as NodeError, where an SDK lets it through."""
    try:
        yield
    except (AddressRefused, NameNotFound, AnswerTooLarge) as error:
        raise connection_error(error, False) from None


def connection_error(error: Exception, timed_out: bool) -> NodeError:
    """Why there is no answer."""
    cause = refusal(error)
    if isinstance(cause, AddressRefused):
        return NodeError("BlockedAddress", str(cause), retryable=False)
    if isinstance(cause, NameNotFound):
        return NodeError("DnsError", str(cause))
    if isinstance(cause, AnswerTooLarge):
        return NodeError("ResponseTooLarge", str(cause), retryable=False)
    if timed_out:
        return NodeError("Timeout", "the endpoint did not answer in time")
    return NodeError("ConnectionFailed", "the endpoint cannot be reached")


def said(body: Any, otherwise: str) -> str:
    """The provider's reason, from an error's body."""
    inner = body.get("error", body) if isinstance(body, Mapping) else {}
    found = inner.get("message") if isinstance(inner, Mapping) else inner
    return str(found or otherwise)[:300]
