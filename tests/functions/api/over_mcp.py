"""A tenant's MCP server as the official client sees it, over the real Lambda handler."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.http_api import LambdaTransport

T = TypeVar("T")
URL = "http://api.test/api/v1/mcp"


class Handler(httpx2.AsyncBaseTransport):
    """Answers requests by calling the handler of the API function."""

    def __init__(self) -> None:
        self.inner = LambdaTransport()
        self.statuses: list[tuple[str, int]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        asked = httpx.Request(
            request.method, str(request.url), headers=list(request.headers.items()), content=await request.aread()
        )
        answer = await asyncio.to_thread(self.inner.handle_request, asked)
        self.statuses.append((request.method, answer.status_code))
        return httpx2.Response(answer.status_code, headers=list(answer.headers.items()), content=answer.content)


def talk(
    key: str, use: Callable[[Client], Awaitable[T]], mode: Any = "auto", transport: Any = None, url: str = URL
) -> T:
    """What `use` makes of a client with this API key."""

    async def talked() -> T:
        headers = {"X-API-Key": key}
        async with (
            httpx2.AsyncClient(transport=transport or Handler(), headers=headers, timeout=60) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode, cache=None) as client,
        ):
            return await use(client)

    return asyncio.run(talked())
