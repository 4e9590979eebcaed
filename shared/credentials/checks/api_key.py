"""Tries a credential of the kind api_key at an address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.credentials.checks import _http


async def check(values: Mapping[str, Any], allowed_hosts: frozenset[str], url: str | None) -> None:
    """GET `url` with it. Raises CheckFailed, NothingToTry."""
    await _http.check("api_key", values, allowed_hosts, url)
