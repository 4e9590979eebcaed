"""What the checks of databases have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from shared.credentials.checks import CheckFailed
from shared.outbound.connections import NotConnected, Way

T = TypeVar("T")


async def signs_in(way: Way[T], values: Mapping[str, Any], allowed_hosts: frozenset[str]) -> None:
    """Opens a connection and closes it. Raises CheckFailed."""
    try:
        connection = await way.open(values, allowed_hosts)
    except NotConnected as error:
        raise CheckFailed(error.message) from None
    await way.close(connection)
