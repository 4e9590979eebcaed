"""Tries a Neo4j credential out: signs in and asks for the number 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.credentials.checks import SECONDS, CheckFailed
from shared.outbound.neo4j import Refused, ask


async def check(values: Mapping[str, Any], allowed_hosts: frozenset[str]) -> None:
    """Sign in. Raises CheckFailed."""

    try:
        await ask(values, "RETURN 1 AS one", {}, write=False, seconds=SECONDS, allowed=allowed_hosts)
    except Refused as refused:
        raise CheckFailed(refused.message) from None
