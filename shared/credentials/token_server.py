"""One request to an OAuth2 token server. What it answers may hold secrets: none of it gets into a message."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import httpx

from shared.clock import now_ms
from shared.errors import AppError, Unavailable
from shared.outbound.hosts import AddressRefused, NameNotFound
from shared.outbound.transport import shared_transport

_SECONDS: Final = 10.0  # to connect, and for each part of the answer
_WHOLE_SECONDS: Final = 15.0  # less than a lease holds: of two at once, one would send a refresh token that is used up
_MAX_BYTES: Final = 100_000
_LIFETIME_S: Final = 300.0  # of a token of which the server does not say it
_LONGEST_S: Final = 30 * 24 * 3600.0
_MARGIN_S: Final = 60.0
_CODES: Final = frozenset(  # RFC 6749, 5.2; other words of a server's may quote what was sent
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16000}")


class TokenRefused(AppError):
    """409: the token server gives no token for this credential."""

    status = 409
    code = "token_refused"


@dataclass(frozen=True, slots=True)
class Granted:
    """What a token server gave. `expires_at` (ms) is when to fetch another one."""

    access_token: str = field(repr=False)
    expires_at: int
    refresh_token: str | None = field(repr=False)


async def fetched(kind: str, values: Mapping[str, Any], allowed_hosts: frozenset[str]) -> Granted:
    """A new token for a credential of an OAuth2 kind. Raises TokenRefused, Unavailable."""
    request = _request(kind, values)
    host = request.url.host
    transport = await shared_transport(allowed_hosts)
    try:
        async with asyncio.timeout(_WHOLE_SECONDS):
            answer = await transport.handle_async_request(request)
            try:
                body = await _body(answer, host)
            finally:
                await answer.aclose()
    except AddressRefused as error:
        raise TokenRefused(f"the token server: {error}") from None
    except NameNotFound as error:
        raise Unavailable(f"the token server: {error}") from None
    except (TimeoutError, httpx.TimeoutException):
        raise Unavailable(f"the token server {host} did not answer in time") from None
    except httpx.HTTPError as error:
        raise Unavailable(f"the connection to the token server {host} failed ({type(error).__name__})") from None
    if answer.status_code == 429 or answer.status_code >= 500:
        raise Unavailable(f"the token server {host} answered {answer.status_code}")
    if answer.status_code != 200:
        said = body.get("error")
        reason = f" ({said})" if isinstance(said, str) and said in _CODES else ""
        raise TokenRefused(f"the token server {host} answered {answer.status_code}{reason}")
    return _granted(body, host)


def _request(kind: str, values: Mapping[str, Any]) -> httpx.Request:
    if kind == "oauth2_refresh_token":
        form = {"grant_type": "refresh_token", "refresh_token": values["refresh_token"]}
    else:
        form = {"grant_type": "client_credentials"}
    form |= {name: values[name] for name in ("scope", "audience") if values.get(name)}
    headers = {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
    client, secret = str(values["client_id"]), values.get("client_secret")
    if secret and values.get("client_auth", "header") == "header":
        pair = f"{quote_plus(client)}:{quote_plus(str(secret))}"
        headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    else:
        form |= {"client_id": client} | ({"client_secret": secret} if secret else {})
    try:
        request = httpx.Request("POST", values["token_url"], headers=headers, content=urlencode(form).encode())
    except httpx.InvalidURL:
        raise TokenRefused("the address of the token server cannot be read") from None
    request.extensions["timeout"] = httpx.Timeout(_SECONDS).as_dict()
    return request


async def _body(answer: httpx.Response, host: str) -> Mapping[str, Any]:
    body = bytearray()
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > _MAX_BYTES:
            raise TokenRefused(f"the token server {host} answered with more than {_MAX_BYTES:,} bytes")
    try:
        found = json.loads(bytes(body))
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}


def _granted(body: Mapping[str, Any], host: str) -> Granted:
    token, refresh = body.get("access_token"), body.get("refresh_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise TokenRefused(f"the token server {host} answered without an access token")
    if str(body.get("token_type", "bearer")).lower() != "bearer":
        raise TokenRefused(f"the token server {host} gave a token that is no bearer token")
    if not isinstance(refresh, str) or not refresh or len(refresh) > 10_000:
        refresh = None
    return Granted(token, now_ms() + round(1000 * _lifetime(body.get("expires_in"))), refresh)


def _lifetime(said: Any) -> float:
    """How long to use the token, in seconds: until shortly before it expires."""
    try:
        seconds = float(said)  # some servers send it as text
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0:
        seconds = _LIFETIME_S
    seconds = min(seconds, _LONGEST_S)
    return seconds - min(_MARGIN_S, seconds / 10)
