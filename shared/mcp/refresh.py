"""Looking at an MCP server: does it answer, and what has it? Loads the MCP SDK when it looks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, Final

from shared.clock import iso, now_ms
from shared.mcp.reach import Reach
from shared.nodes.base import NodeError

MAX_FOUND: Final = 300_000  # bytes: it is kept in one record
_LISTS: Final = ("tools", "resources", "prompts")


async def look(reach: Reach, document: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """`{at, latency_ms, ok, error, message, server, tools, resources, prompts}`: one that does not answer is no
    exception.

    `error` and `message` say why not; the lists are empty then. `latency_ms` is the time that all of it took.
    """
    began = time.monotonic()
    found = await _looked(reach, document, seconds)
    return {**found, "latency_ms": round((time.monotonic() - began) * 1000)}


async def _looked(reach: Reach, document: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    found: dict[str, Any] = {"at": iso(now_ms()), "ok": True, "error": None, "message": None, "server": None}
    found |= {name: [] for name in _LISTS}
    try:
        async with asyncio.timeout(seconds):
            seen = await _seen(reach, document)
        if len(json.dumps(seen, ensure_ascii=False).encode(errors="replace")) > MAX_FOUND:
            message = f"what {document['name']} has takes more than {MAX_FOUND:,} bytes; allow fewer of its tools"
            raise NodeError("ResponseTooLarge", message)
    except TimeoutError:
        return {**found, "ok": False, "error": "Timeout", "message": f"no answer within {seconds:g} seconds"}
    except NodeError as error:
        return {**found, "ok": False, "error": error.error, "message": error.message}
    return {**found, **seen}


async def _seen(reach: Reach, document: Mapping[str, Any]) -> dict[str, Any]:
    from shared.mcp.sessions import session

    async with session(reach, document) as server:
        return {
            "server": server.about(),
            "tools": await server.tools(),
            "resources": await server.resources(),
            "prompts": await server.prompts(),
        }
