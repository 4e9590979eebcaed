"""Tries a Qdrant credential. It needs one small question of the REST API, so not the client with all it brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.credentials.checks import CheckFailed


async def check(values: Mapping[str, Any], allowed_hosts: frozenset[str]) -> None:
    """Lists the collections. Raises CheckFailed."""
    import httpx

    from shared.outbound.hosts import AddressRefused, NameNotFound
    from shared.outbound.transport import shared_transport

    url, key = str(values["url"]).rstrip("/"), values.get("api_key")
    transport = await shared_transport(allowed_hosts)
    # The connections are shared and stay open; the client is this call's own and needs no closing.
    client = httpx.AsyncClient(transport=transport, trust_env=False, timeout=10)
    try:
        answer = await client.get(f"{url}/collections", headers={"api-key": str(key)} if key else {})
    except (AddressRefused, NameNotFound) as error:
        raise CheckFailed(str(error)) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CheckFailed(f"the server cannot be reached ({type(error).__name__})") from None
    if answer.status_code in (401, 403):
        raise CheckFailed("the server refuses this key")
    if answer.status_code != 200:
        raise CheckFailed(f"the server answered {answer.status_code}")
