"""A session with the server that a node names, and its inputs. Loads the MCP SDK, so import it when needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from shared.errors import AppError, NotFound
from shared.mcp.sessions import Session, session
from shared.nodes.base import Call, NodeError


@asynccontextmanager
async def server(call: Call) -> AsyncIterator[Session]:
    """A session with the server that the config or `connection` names. Raises NodeError with one of `SERVER_ERRORS`."""
    document = await _document(call)
    try:
        async with asyncio.timeout(call.timeout_seconds), session(call.world, document, call.usage) as opened:
            yield opened
    except TimeoutError:
        message = f"{document['name']} did not answer within {call.timeout_seconds:g} seconds"
        raise NodeError("Timeout", message) from None


async def _document(call: Call) -> Mapping[str, Any]:
    connection = call.inputs.get("connection")
    name = connection.get("server") if isinstance(connection, Mapping) else None
    name = call.config.get("server") or name
    if not isinstance(name, str) or not name:
        raise NodeError("InvalidInput", "name a server, or connect an mcp_server node", retryable=False)
    try:
        return await asyncio.to_thread(lambda: call.world.resources.find("mcp_servers", name))
    except NotFound:
        raise NodeError("ServerNotFound", f"there is no MCP server {name[:100]!r}", retryable=False) from None
    except AppError as error:
        raise NodeError("Unavailable", error.detail) from None


def object_of(call: Call, port: str) -> dict[str, Any]:
    """An input that is an object; nothing given is an empty one. Raises NodeError InvalidInput."""
    value = call.inputs.get(port)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise NodeError("InvalidInput", f"{port} must be an object", retryable=False)
    return dict(value)


def text_of(call: Call, port: str) -> str:
    """An input that is text and not empty. Raises NodeError InvalidInput."""
    value = call.inputs.get(port)
    if not isinstance(value, str) or not value.strip():
        raise NodeError("InvalidInput", f"{port} is missing or no text", retryable=False)
    return value
