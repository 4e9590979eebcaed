"""Tries a libSQL credential."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.credentials.checks import CheckFailed


async def check(values: Mapping[str, Any], allowed_hosts: frozenset[str]) -> None:
    """Asks the database for a number. Raises CheckFailed."""
    from shared.outbound.connections import NotConnected
    from shared.outbound.libsql import QueryRefused, transaction

    try:
        await transaction(values, allowed_hosts, [("SELECT 1", ())])
    except NotConnected as error:
        raise CheckFailed(error.message) from None
    except QueryRefused:
        raise CheckFailed("the server refuses to begin a transaction") from None
