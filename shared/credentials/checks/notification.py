"""A notification service: to try its address is to send a message, which somebody would get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.credentials.checks import NothingToTry


async def check(values: Mapping[str, Any], allowed_hosts: frozenset[str]) -> None:
    """Raises NothingToTry."""
    del values, allowed_hosts
    raise NothingToTry("the only way to try it is to send a message: run a workflow with a notification")
