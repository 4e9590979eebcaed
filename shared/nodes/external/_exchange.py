"""What http_request does on the wire: requests, their redirects, the answers. Loads httpx, so import it when needed."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NoReturn
from urllib.parse import unquote_plus, urlencode

import httpx

from shared.credentials.signing import Signature
from shared.nodes._credentials import http_signature
from shared.nodes.base import Call, NodeError, Outputs
from shared.outbound.hosts import AddressRefused, NameNotFound
from shared.outbound.statuses import leaves_open, worth_another_try
from shared.outbound.transport import shared_transport

MAX_BYTES: Final = 50_000_000
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
_OURS: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "proxy-authorization"}
)
# What a redirect takes to another origin. Any other header may prove who we are; of the last two, httpx has left only
# what is for the new address.
_TAKEN_ALONG: Final = _OURS | frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "content-type",
        "idempotency-key",
        "user-agent",
        "authorization",
        "cookie",
    }
)
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_TEXT: Final = re.compile(r"text/|application/(?:.+\+)?(?:xml|javascript|x-www-form-urlencoded|x-ndjson|yaml)\b")
_JSON: Final = re.compile(r"(?:application|text)/(?:.+\+)?json\b")


async def exchange(call: Call) -> Outputs:
    """Send the request, follow its redirects and, where the config says so, its pages. Raises NodeError."""
    transport = await shared_transport(call.world.allowed_hosts)
    # The connections are shared and stay open; the client, with its cookies, is this call's own and needs no closing.
    client = httpx.AsyncClient(
        transport=transport,
        trust_env=False,
        timeout=httpx.Timeout(None, connect=float(call.config.get("connect_timeout_seconds", 10))),
    )
    wire = _Wire(call, client)
    if (call.config.get("pagination") or {}).get("type", "none") == "none":
        return (await wire.fetch(None, {}))[1]
    from shared.nodes.external._pages import all_pages

    return await all_pages(call, wire.fetch)


class _Wire:
    """The requests of one call: one, or one a page. Together their answers have at most `MAX_BYTES`."""

    def __init__(self, call: Call, client: httpx.AsyncClient) -> None:
        self._call = call
        self._client = client
        self._signed: Signature | None = None
        self._room = MAX_BYTES

    async def fetch(self, url: httpx.URL | None, parameters: Mapping[str, str]) -> tuple[httpx.Response, Outputs]:
        """One answer; an OAuth2 token that is refused is replaced once. Raises NodeError."""
        if self._signed is None:
            self._signed = await http_signature(self._call)
        response = await self._sent(self._signed, url, parameters)
        refused = response.status_code == 401 and "authorization" in response.request.headers
        if refused and self._signed.token is not None:
            await response.aclose()
            self._signed = await http_signature(self._call, stale=self._signed.token)
            response = await self._sent(self._signed, url, parameters)
        with _as_node_errors(response.request):
            try:
                outputs, size = await _answer(response, self._call.config, self._room)
            finally:
                await response.aclose()
        self._room -= size
        return response, outputs

    async def _sent(self, signed: Signature, url: httpx.URL | None, parameters: Mapping[str, str]) -> httpx.Response:
        request, key_header = _request(self._call, signed, url, parameters)
        with _as_node_errors(request):
            return await _followed(self._client, request, key_header, int(self._call.config.get("max_redirects", 5)))


async def _followed(client: httpx.AsyncClient, request: httpx.Request, key_header: str, most: int) -> httpx.Response:
    """The answer after at most `most` redirects; with none allowed, the redirect itself."""
    response = await client.send(request, stream=True)
    hops = 0
    while most and (following := response.next_request) is not None:
        await response.aclose()
        hops += 1
        if hops > most:
            _fail("TooManyRedirects", f"more than {most} redirects")
        if following.url.scheme not in ("http", "https") or not following.url.host:
            _fail("InvalidResponse", "the redirect leads to no http or https address")
        # httpx dropped Authorization and Cookie where the host changes; the rest is ours to take care of.
        following.url = following.url.copy_with(username=None, password=None)
        if _origin(following.url) != _origin(request.url):
            for name in [n for n in following.headers if n not in _TAKEN_ALONG or n == key_header]:
                del following.headers[name]
        request = following
        response = await client.send(request, stream=True)
    return response


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _request(
    call: Call, signed: Signature, page: httpx.URL | None, parameters: Mapping[str, str]
) -> tuple[httpx.Request, str]:
    """A request, and the name of the header with an API key in it (or an empty string).

    `page` is where a link of the page before leads; `parameters` come on top of the query.
    """
    method = str(call.config.get("method", "GET"))
    url = _url(call.inputs.get("url"))
    if page is not None and _origin(page) != _origin(url):
        # What is sent to prove who we are is meant for the first host only.
        _fail("InvalidResponse", "the next page is on another host")
    query = _parameters(_mapping(call.inputs.get("query"), "query")) if page is None else {}
    url = url if page is None else page
    query |= {name: [value] for name, value in parameters.items()}
    query |= {name: [value] for name, value in signed.query.items()}
    if query:  # merging nothing would still rewrite what the URL has
        url = _merged(url, query)
    content, content_type = _content(call.inputs.get("body"), str(call.config.get("body_type", "auto")))
    headers = {"user-agent": "statewright", "accept": "*/*", "accept-encoding": "gzip, deflate"}
    if content_type:
        headers["content-type"] = content_type
    if method not in _SAFE:
        headers["idempotency-key"] = call.idempotency_key
    for name, value in _mapping(call.inputs.get("headers"), "headers").items():
        if value is not None:
            headers[_header_name(name)] = _header_value(name, value)
    key_header = next((name for name in signed.headers if name != "authorization"), "")
    if key_header:
        _header_name(key_header)  # some are not for anybody to set
    headers |= signed.headers
    auth = call.config.get("auth") or {}
    match auth.get("type", "none"):
        case "basic":
            pair = f"{auth.get('username') or ''}:{auth.get('password') or ''}".encode()
            headers["authorization"] = "Basic " + base64.b64encode(pair).decode()
        case "bearer":
            headers["authorization"] = "Bearer " + _header_value("auth.token", auth.get("token") or "")
        case "api_key" if auth.get("in") == "query":
            url = _merged(url, {str(auth.get("name")): [str(auth.get("value"))]})
        case "api_key":
            key_header = _header_name(str(auth.get("name")))
            headers[key_header] = _header_value("auth.value", auth.get("value") or "")
    return httpx.Request(method, url, headers=headers, content=content), key_header


def _merged(url: httpx.URL, query: Mapping[str, list[str]]) -> httpx.URL:
    """The URL with parameters in place of those of the same names. The others stay as they are written: httpx would
    quote the commas that separate an operation's values, too.
    """
    own = [pair for pair in url.query.decode().split("&") if pair and unquote_plus(pair.partition("=")[0]) not in query]
    return url.copy_with(query="&".join([*own, urlencode(query, doseq=True)]).encode())


def _url(value: Any) -> httpx.URL:
    if not isinstance(value, str) or not value.strip():
        _fail("InvalidInput", "url is missing or no text")
    try:
        url = httpx.URL(value.strip())
    except httpx.InvalidURL as error:
        _fail("InvalidInput", f"url cannot be read: {str(error)[:200]}")
    if url.scheme not in ("http", "https") or not url.host:
        _fail("InvalidInput", "url must be a full address beginning with http:// or https://")
    if url.port is not None and not 0 < url.port < 65_536:
        _fail("InvalidInput", "url has a port outside 1 to 65535")
    if url.userinfo:
        _fail("InvalidInput", "url must not hold a user name or password; use the authentication fields")
    return url


def _mapping(value: Any, port: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        _fail("InvalidInput", f"{port} must be an object")
    return value


def _parameters(fields: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in fields.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, (dict, list)):
                _fail("InvalidInput", f"{name[:100]!r} must be text, a number, a boolean or a list of those")
            if each is not None:
                found.setdefault(name, []).append(_plain(each))
    return found


def _plain(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _header_name(name: str) -> str:
    lowered = name.lower()
    if not _NAME.fullmatch(name) or lowered in _OURS:
        _fail("InvalidInput", f"the header {name[:100]!r} cannot be set")
    return lowered


def _header_value(name: str, value: Any) -> str:
    text = value if isinstance(value, str) else _plain(value) if isinstance(value, (bool, int, float)) else None
    if text is None or not text.isascii() or (text and not text.isprintable()) or text != text.strip():
        _fail("InvalidInput", f"the value of {name!r} must be printable ASCII text without spaces at its ends")
    return text


def _content(body: Any, kind: str) -> tuple[bytes | None, str]:
    if body is None:
        return None, ""
    if kind == "form":
        if not isinstance(body, Mapping):
            _fail("InvalidInput", "a form body must be an object")
        return urlencode(_parameters(body), doseq=True).encode(), "application/x-www-form-urlencoded"
    if kind == "text" or (kind == "auto" and isinstance(body, str)):
        if not isinstance(body, str):
            _fail("InvalidInput", "a text body must be text")
        return body.encode(errors="replace"), "text/plain; charset=utf-8"
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"), "application/json"


async def _answer(response: httpx.Response, config: Mapping[str, Any], room: int) -> tuple[Outputs, int]:
    """The node's outputs, and the bytes of the body, of which there is room for so many."""
    status = response.status_code
    if status >= 400 and config.get("fail_on_status", True):
        # The body is left out: it may repeat what was sent, and errors are stored.
        message = f"{response.request.url.host} answered {status} {response.reason_phrase}".rstrip()
        again, wait = worth_another_try(status), retry_after(response.headers)
        raise NodeError("HttpError", message, retry_after=wait, retryable=again, unsure=leaves_open(status))
    body = await _body(response, room)
    outputs = {"response": _parsed(body, response, config), "status": status, "headers": dict(response.headers)}
    return outputs, len(body)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that `Retry-After` asks for, in an answer's headers; None where it asks for none."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:9])
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return None
    until = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


async def _body(response: httpx.Response, room: int) -> bytes:
    announced = response.headers.get("content-length", "")
    if response.request.method != "HEAD" and announced.isdigit() and int(announced) > room:
        _too_large()
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > room:
            _too_large()
    return bytes(body)


def _parsed(body: bytes, response: httpx.Response, config: Mapping[str, Any]) -> Any:
    wanted = config.get("response_type", "auto")
    content_type = response.headers.get("content-type", "").lower()
    if wanted == "json":
        try:
            return _json(body)
        except (ValueError, RecursionError):
            _fail("InvalidResponse", "the answer is no JSON")
    if wanted == "text":
        return _text(body, response)
    if wanted == "auto":
        if not body:
            return None if not content_type or _JSON.match(content_type) else ""
        if _JSON.match(content_type):
            try:
                return _json(body)
            except (ValueError, RecursionError):
                return _text(body, response)
        if _TEXT.match(content_type):
            return _text(body, response)
        if not content_type:
            try:
                return body.decode()
            except UnicodeDecodeError:
                pass
    if len(body) * 4 // 3 > MAX_BYTES:
        _too_large()
    return {"base64": base64.b64encode(body).decode(), "content_type": content_type, "size": len(body)}


def _json(body: bytes) -> Any:
    def refuse(name: str) -> NoReturn:
        raise ValueError(name)

    return json.loads(body, parse_constant=refuse)


def _text(body: bytes, response: httpx.Response) -> str:
    try:
        return body.decode(response.charset_encoding or "utf-8", errors="replace")
    except (LookupError, ValueError):
        return body.decode(errors="replace")


@contextmanager
def _as_node_errors(request: httpx.Request) -> Iterator[None]:
    host = request.url.host
    try:
        yield
    except AddressRefused as error:
        raise NodeError("BlockedAddress", str(error), retryable=False) from None
    except NameNotFound as error:
        raise NodeError("DnsError", str(error)) from None
    except httpx.ConnectTimeout:
        raise NodeError("Timeout", f"{host} did not take the connection in time") from None
    except httpx.DecodingError as error:
        raise NodeError("InvalidResponse", f"{host}: {str(error)[:200]}") from None
    except (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        # Its words quote what was to be sent, and the next ones' what came back, which may repeat that.
        raise NodeError(
            "InvalidInput", f"no such request can be sent ({type(error).__name__})", retryable=False
        ) from None
    except httpx.RemoteProtocolError:
        raise NodeError("ConnectionFailed", f"{host} broke off, or does not speak HTTP as it should") from None
    except httpx.TransportError as error:
        message = str(error)[:200] or type(error).__name__
        raise NodeError("ConnectionFailed", f"the connection to {host} failed: {message}") from None


def _too_large() -> NoReturn:
    _fail("ResponseTooLarge", f"the answer is over {MAX_BYTES:,} bytes")


def _fail(error: str, message: str) -> NoReturn:
    raise NodeError(error, message, retryable=False)
