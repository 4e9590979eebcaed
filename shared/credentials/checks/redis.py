"""Tries a Redis credential."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


async def check(values: Mapping[str, Any], allowed_hosts: frozenset[str]) -> None:
    """Signs in. Raises CheckFailed."""
    from shared.credentials.checks._connections import signs_in
    from shared.outbound.redis import REDIS

    await signs_in(REDIS, values, allowed_hosts)
