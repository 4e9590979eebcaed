"""A webhook's request: what API Gateway says of it, and what the run gets to see of it."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from shared.errors import BadRequest, TooLarge
from shared.strict_json import loads

MAX_BODY: Final = 1_048_576
_ADDRESS: Final = re.compile(r"/(hooks|hooks-test)/([^/]+)(/.*)?$", re.DOTALL)
_CHARSETS: Final = {"utf-8", "ascii", "iso8859-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be"}
_MAX_FIELDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request. `draft`: it came to the test address. `headers` have lower-case names."""

    webhook_id: str
    draft: bool
    method: str
    path: str
    query: Mapping[str, Any]
    headers: Mapping[str, str]
    _body: str
    _encoded: bool

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Incoming:
        """From an HTTP API's event, payload format 2.0. Nothing is decoded yet that could be wrong."""
        found = _ADDRESS.search(_text(event["rawPath"]))
        kind, webhook_id, path = found.groups() if found else ("hooks", "", None)
        return cls(
            webhook_id=webhook_id,
            draft=kind == "hooks-test",
            method=event["requestContext"]["http"]["method"].upper(),
            path=path or "/",
            query=_fields(_text(event.get("rawQueryString") or "")),
            headers={_text(k).lower(): _text(v) for k, v in (event.get("headers") or {}).items()},
            _body=event.get("body") or "",
            _encoded=bool(event.get("isBase64Encoded")),
        )

    def body(self) -> bytes:
        """The body's bytes as they were sent. Raises TooLarge, BadRequest (base64 that is none)."""
        if len(self._body) > (MAX_BODY + 2) // 3 * 4:  # before it is decoded: a character is a byte at least
            raise TooLarge("a webhook takes bodies of up to 1 MB")
        try:
            sent = base64.b64decode(self._body, validate=True) if self._encoded else self._body.encode()
        except (binascii.Error, ValueError):
            raise BadRequest("the body is malformed") from None
        if len(sent) > MAX_BODY:
            raise TooLarge("a webhook takes bodies of up to 1 MB")
        return sent

    def parsed(self, sent: bytes) -> Any:
        """The body as a value, by its content type. Raises BadRequest for a body that is not what it says it is.

        JSON: its value. A form: an object. Text: a string. Anything else: base64, so that no byte is lost. Empty: null.
        """
        if not sent:
            return None
        kind, _, parameters = self.headers.get("content-type", "").partition(";")
        kind = kind.strip().lower()
        if kind == "application/json" or kind.endswith("+json"):
            return loads(sent)
        if kind == "application/x-www-form-urlencoded":
            try:
                return _fields(sent.decode(), strict=True)
            except ValueError:
                raise BadRequest("the body is not a form in UTF-8", code="bad_form") from None
        if kind.startswith("text/") or kind == "application/xml" or kind.endswith("+xml"):
            return _decoded(sent, parameters)
        return base64.b64encode(sent).decode()


def _decoded(sent: bytes, parameters: str) -> str:
    named = re.search(r"charset\s*=\s*\"?([A-Za-z0-9_.:-]{1,40})", parameters, re.IGNORECASE)
    try:
        charset = codecs.lookup(named[1] if named else "utf-8").name
    except LookupError:
        charset = ""
    if charset not in _CHARSETS:
        raise BadRequest("the body's charset is not supported; send UTF-8", code="bad_text")
    try:
        return sent.decode(charset)
    except UnicodeError:
        raise BadRequest(f"the body is not valid {charset.upper()}", code="bad_text") from None


def _fields(text: str, *, strict: bool = False) -> dict[str, Any]:
    """Name → value; a name that comes more than once has a list. Raises ValueError if `strict`."""
    errors = "strict" if strict else "replace"
    pairs = parse_qsl(text, keep_blank_values=True, errors=errors, max_num_fields=_MAX_FIELDS if strict else None)
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _text(text: str) -> str:
    """Without half surrogate pairs, which could not be stored."""
    return text.encode("utf-8", "replace").decode()
