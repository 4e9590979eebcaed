"""Tries a key of Anthropic: its list of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ANTHROPIC: Final = "https://api.anthropic.com"
VERSION: Final = "2026-10-21"  # of the API, as the SDK says it


async def check(values: Mapping[str, Any], allowed_hosts: frozenset[str]) -> None:
    """GET /v1/models. Raises CheckFailed, NothingToTry."""
    from shared.credentials.checks._models import listed

    headers = {"authorization": f"Bearer {values['api_key']}", "anthropic-version": VERSION}
    address = str(values.get("base_url") or ANTHROPIC).rstrip("/")
    await listed(f"{address}/v1", headers, allowed_hosts)
