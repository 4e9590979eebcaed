"""Where a tenant's connection may go: a host's name, resolved once and checked. Connect to what this gives.

A second look-up could say something else; so whoever connects uses the addresses, and the name only for TLS.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from shared.outbound.addresses import is_public


class AddressRefused(Exception):
    """The host has an address that tenants may not reach."""


class NameNotFound(Exception):
    """The host's name does not resolve."""


async def checked_addresses(host: str, port: int, allowed: frozenset[str], timeout: float | None) -> list[str]:
    """The host's addresses, if all of them are public or `allowed` holds `host:port`.

    `timeout` in seconds. Raises AddressRefused, NameNotFound, TimeoutError.
    """
    bare = host.strip("[]").lower()
    return _checked(bare, port, allowed, await _resolved(bare, port, timeout))


def checked_addresses_blocking(host: str, port: int, allowed: frozenset[str]) -> list[str]:
    """The same for code in a thread, with the resolver's own patience. Raises AddressRefused, NameNotFound."""
    bare = host.strip("[]").lower()
    try:
        found = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NameNotFound(f"{bare} does not resolve") from None
    return _checked(bare, port, allowed, found)


async def _resolved(host: str, port: int, timeout: float | None) -> Sequence[Any]:
    lookup = asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    try:
        return await asyncio.wait_for(lookup, timeout)
    except TimeoutError:
        raise
    except (OSError, UnicodeError):
        raise NameNotFound(f"{host} does not resolve") from None


def _checked(host: str, port: int, allowed: frozenset[str], found: Sequence[Any]) -> list[str]:
    """The addresses that a resolver gave, without repeats."""
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses:
        raise NameNotFound(f"{host} does not resolve")
    if f"{host}:{port}" not in allowed and not all(is_public(a) for a in addresses):
        raise AddressRefused(f"{host} is not on the public internet")
    return addresses
