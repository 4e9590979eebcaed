"""Tries a key of OpenAI or of a compatible endpoint: its list of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

OPENAI: Final = "https://api.openai.com/v1"


async def check(values: Mapping[str, Any], allowed_hosts: frozenset[str]) -> None:
    """GET /models. Raises CheckFailed, NothingToTry."""
    from shared.credentials.checks._models import listed

    key = values.get("api_key")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    await listed(str(values.get("base_url") or OPENAI), headers, allowed_hosts)
