"""How a request carries a credential: HTTP headers and query parameters."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
SIGNING: Final = ("basic", "bearer", "api_key")
OAUTH2: Final = ("oauth2_client_credentials", "oauth2_refresh_token")
HTTP_KINDS: Final = (*SIGNING, *OAUTH2)


class Unsendable(Exception):
    """The credential cannot stand in a request. The message quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a request gets. Header names are in small letters. `token`: the OAuth2 access token in it, if any."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: str | None = field(default=None, repr=False)


def signature(kind: str, values: Mapping[str, Any]) -> Signature:
    """What a credential of one of the kinds `SIGNING` adds to a request. Raises Unsendable."""
    if kind == "basic":
        pair = f"{values['username']}:{values['password']}".encode()
        return Signature({"authorization": "Basic " + base64.b64encode(pair).decode()})
    if kind == "bearer":
        return Signature({"authorization": "Bearer " + _header(str(values["token"]))})
    name, value = str(values["name"]), str(values["value"])
    if values.get("in") == "query":
        return Signature(query={name: value})
    if not HEADER_NAME.fullmatch(name):
        raise Unsendable("the credential's name is no name of a header")
    return Signature({name.lower(): _header(value)})


def of_token(token: str) -> Signature:
    """What an OAuth2 access token adds to a request. Raises Unsendable."""
    return Signature({"authorization": "Bearer " + _header(token)}, token=token)


def _header(value: str) -> str:
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise Unsendable("the credential's value has characters, or a space at an end, that no header can hold")
    return value
