"""A secret value: nobody but the workflow knows where it is good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.credentials.checks import NothingToTry


async def check(values: Mapping[str, Any], allowed_hosts: frozenset[str]) -> None:
    """Raises NothingToTry."""
    del values, allowed_hosts
    raise NothingToTry("a secret is good for whatever a workflow reads it for; there is nothing to try it at")
