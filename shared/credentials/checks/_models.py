"""Asking a provider of models for its list of them, which takes a key that is good and costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx

from shared.credentials.checks import SECONDS, CheckFailed, NothingToTry
from shared.credentials.checks._http import sent

_NO_LIST: Final = (404, 405, 501)


async def listed(address: str, headers: Mapping[str, str], allowed_hosts: frozenset[str]) -> None:
    """GET `<address>/models`. Raises CheckFailed, NothingToTry."""
    try:
        request = httpx.Request("GET", f"{address.rstrip('/')}/models", headers=headers)
    except (httpx.InvalidURL, UnicodeError):
        raise CheckFailed("its address or its key cannot be sent") from None
    request.extensions["timeout"] = httpx.Timeout(SECONDS).as_dict()
    answer = await sent(request, allowed_hosts)
    host, status = request.url.host, answer.status_code
    if status in (401, 403):
        raise CheckFailed(f"{host} refuses the key: {status}")
    if status in _NO_LIST:
        raise NothingToTry(f"{host} lists no models, so the key cannot be tried without paying for an answer")
    if status >= 300:
        raise CheckFailed(f"{host} answered {status}")
