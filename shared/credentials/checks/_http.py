"""Trying a credential out at an address: the request has it, and the answer says whether it is taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from shared.credentials.checks import SECONDS, CheckFailed, NothingToTry
from shared.credentials.signing import Unsendable, signature
from shared.outbound.hosts import AddressRefused, NameNotFound
from shared.outbound.transport import shared_transport


async def check(kind: str, values: Mapping[str, Any], allowed_hosts: frozenset[str], url: str | None) -> None:
    """GET `url` with the credential; redirects are not followed. Raises CheckFailed, NothingToTry."""
    if url is None:
        raise NothingToTry("give the url of something that refuses other callers, to try it there")
    try:
        signed = signature(kind, values)
        request = httpx.Request("GET", httpx.URL(url).copy_merge_params(signed.query), headers=signed.headers)
    except (httpx.InvalidURL, Unsendable) as error:
        raise CheckFailed(str(error)[:200]) from None
    request.extensions["timeout"] = httpx.Timeout(SECONDS).as_dict()
    answer = await sent(request, allowed_hosts)
    host, status = request.url.host, answer.status_code
    if status in (401, 403):
        raise CheckFailed(f"{host} refuses it: {status} {answer.reason_phrase}".rstrip())
    if status >= 400:
        raise CheckFailed(f"{host} answered {status} {answer.reason_phrase}".rstrip())


async def sent(request: httpx.Request, allowed_hosts: frozenset[str]) -> httpx.Response:
    """The head of the answer; its body is not read. Raises CheckFailed."""
    transport = await shared_transport(allowed_hosts)
    try:
        answer = await transport.handle_async_request(request)
        await answer.aclose()
    except (AddressRefused, NameNotFound) as error:
        raise CheckFailed(str(error)) from None
    except httpx.TimeoutException:
        raise CheckFailed(f"{request.url.host} did not answer in time") from None
    except httpx.HTTPError as error:
        raise CheckFailed(f"the connection to {request.url.host} failed ({type(error).__name__})") from None
    return answer
