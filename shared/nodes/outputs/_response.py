"""An HTTP answer from a node's inputs: what may stand in it, and in what form."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from shared.answers import MAX_ANSWER, size_of
from shared.nodes.base import NodeError
from shared.nodes.world import Response

_MAX_HEADERS: Final = 50
_MAX_VALUE: Final = 4_000
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?|")
_EMPTY: Final = frozenset({204, 205, 304})
# Of the connection; of the platform; and those with which one tenant's answer could act on all that has this origin.
_REFUSED: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "host",
        "date",
        "server",
        "via",
        "alt-svc",
        "set-cookie",
        "set-cookie2",
        "clear-site-data",
        "strict-transport-security",
        "public-key-pins",
        "service-worker-allowed",
        "content-security-policy",
        "content-security-policy-report-only",
        "x-content-type-options",
        "x-request-id",
        "report-to",
        "reporting-endpoints",
        "nel",
        "origin-agent-cluster",
    }
)
_REFUSED_STARTS: Final = ("proxy-", "x-amz", "x-amzn-", "access-control-allow-credentials")


def response(inputs: Mapping[str, Any], config: Mapping[str, Any]) -> Response:
    """The answer. Raises NodeError InvalidInput, ResponseTooLarge."""
    status = _status(inputs.get("status"), config["status"])
    headers = _headers(inputs.get("headers"))
    body, kind = _body(inputs.get("body"))
    if body and status in _EMPTY:
        raise _bad(f"an answer with status {status} has no body")
    if not any(name.lower() == "content-type" for name in headers) and body:
        named = config.get("content_type") or kind
        headers |= _headers({"Content-Type": named})
    return Response(status, headers, body)


def _status(given: Any, usual: int) -> int:
    if given is None:
        return usual
    is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
    if not is_number or not 200 <= given <= 599 or given != int(given):
        raise _bad("the status is a whole number from 200 to 599")
    return int(given)


def _headers(given: Any) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise _bad("headers are an object of names and texts")
    if len(given) > _MAX_HEADERS:
        raise _bad(f"an answer has at most {_MAX_HEADERS} headers of its own")
    made: dict[str, str] = {}
    for name, value in given.items():
        lower = name.lower()
        if not _NAME.fullmatch(name):
            raise _bad("a header's name has letters, digits and hyphens")
        if lower in _REFUSED or lower.startswith(_REFUSED_STARTS):
            raise _bad(f"the header {name} may not be set")
        text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
        if not isinstance(text, str) or len(text) > _MAX_VALUE or not _VALUE.fullmatch(text):
            raise _bad(f"the value of the header {name} is one line of ASCII text of at most {_MAX_VALUE:,} characters")
        if lower in {other.lower() for other in made}:
            raise _bad(f"the header {name} stands there twice")
        made[name] = text
    return made


def _body(given: Any) -> tuple[bytes, str]:
    if given is None:
        return b"", ""
    kind = "text/plain; charset=utf-8"
    try:
        if isinstance(given, str):
            body = given.encode()
        elif isinstance(given, Mapping) and given.keys() <= {"base64", "content_type"} and "base64" in given:
            body = base64.b64decode(given["base64"], validate=True)
            kind = given.get("content_type") or "application/octet-stream"
        else:
            body = json.dumps(given, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
            kind = "application/json"
    except UnicodeEncodeError:
        raise _bad("the body is not valid Unicode text") from None
    except (binascii.Error, ValueError, TypeError):
        raise _bad("the body is neither JSON nor base64") from None
    if not isinstance(kind, str):
        raise _bad("content_type is a text")
    size = size_of(body) if _is_text(body) else len(body) * 4 // 3
    if size > MAX_ANSWER:
        message = f"an answer's body has at most {MAX_ANSWER:,} bytes as it is sent; this has {size:,}"
        raise NodeError("ResponseTooLarge", message, retryable=False)
    return body, kind


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _bad(message: str) -> NodeError:
    return NodeError("InvalidInput", message, retryable=False)
