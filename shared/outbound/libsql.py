"""A tenant's libSQL database (Turso, or a server of their own), over Hrana 3 in JSON.

The protocol is one POST (github.com/tursodatabase/libsql, docs/HRANA_3_SPEC.md). The client libraries bring an engine
of their own and open connections by themselves, past the guard against private addresses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx

from shared.outbound.connections import NotConnected
from shared.outbound.hosts import AddressRefused, NameNotFound
from shared.outbound.transport import shared_transport

MAX_BYTES: Final = 20_000_000
_SECONDS: Final = 30.0

Statement = tuple[str, Sequence[str | int]]
Row = list[Any]


class QueryRefused(Exception):
    """The server refused a statement. `missing`: for want of a table."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.missing = "no such table" in message


async def transaction(
    values: Mapping[str, Any], allowed: frozenset[str], statements: Sequence[Statement]
) -> list[list[Row]]:
    """The rows of each statement, all of them done or none. Raises NotConnected, QueryRefused."""
    steps = [("BEGIN IMMEDIATE", ()), *statements, ("COMMIT", ())]
    batch = [_step(statement, number) for number, statement in enumerate(steps)]
    undo = {"stmt": {"sql": "ROLLBACK"}, "condition": {"type": "not", "cond": {"type": "ok", "step": len(batch) - 1}}}
    requests = [{"type": "batch", "batch": {"steps": [*batch, undo]}}, {"type": "close"}]
    answer = await _posted(values, allowed, {"baton": None, "requests": requests})
    try:
        first = answer["results"][0]
        if first["type"] == "error":
            raise QueryRefused(str(first["error"]["message"]))
        result = first["response"]["result"]
        failed = next((e for e in result["step_errors"][: len(batch)] if e is not None), None)
        if failed is not None:
            raise QueryRefused(str(failed["message"]))
        return [[[_plain(v) for v in row] for row in step["rows"]] for step in result["step_results"][1:-2]]
    except (KeyError, IndexError, TypeError):
        raise NotConnected("ConnectionFailed", "the server does not speak Hrana over HTTP") from None


def _step(statement: Statement, number: int) -> dict[str, Any]:
    sql, given = statement
    arguments = [
        {"type": "integer", "value": str(g)} if isinstance(g, int) else {"type": "text", "value": g} for g in given
    ]
    step: dict[str, Any] = {"stmt": {"sql": sql, "args": arguments, "want_rows": True}}
    return step if number == 0 else {**step, "condition": {"type": "ok", "step": number - 1}}


def _plain(value: Mapping[str, Any]) -> Any:
    return int(value["value"]) if value["type"] == "integer" else value.get("value")


async def _posted(values: Mapping[str, Any], allowed: frozenset[str], body: Mapping[str, Any]) -> Any:
    url = str(values["url"]).rstrip("/")
    url = "https" + url.removeprefix("libsql") if url.startswith("libsql:") else url
    headers = {"authorization": f"Bearer {values['token']}"} if values.get("token") else {}
    # The connections are shared and stay open; the client is this call's own and needs no closing.
    client = httpx.AsyncClient(transport=await shared_transport(allowed), trust_env=False, timeout=_SECONDS)
    try:
        async with client.stream("POST", f"{url}/v2/pipeline", json=body, headers=headers) as answer:
            if answer.status_code in (401, 403):
                raise NotConnected("AuthenticationFailed", "the server refuses this token")
            if answer.status_code != httpx.codes.OK:
                raise NotConnected("ConnectionFailed", f"the server answered {answer.status_code}")
            read = bytearray()
            async for part in answer.aiter_bytes():
                read += part
                if len(read) > MAX_BYTES:
                    raise NotConnected("ConnectionFailed", f"the answer is over {MAX_BYTES:,} bytes")
    except AddressRefused as error:
        raise NotConnected("BlockedAddress", str(error)) from None
    except NameNotFound as error:
        raise NotConnected("DnsError", str(error)) from None
    except httpx.TimeoutException:
        raise NotConnected("Timeout", "the server did not answer in time") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotConnected("ConnectionFailed", f"the server cannot be reached ({type(error).__name__})") from None
    try:
        return json.loads(read)
    except ValueError:
        raise NotConnected("ConnectionFailed", "the server does not speak Hrana over HTTP") from None
