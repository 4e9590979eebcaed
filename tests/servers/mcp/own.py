"""An MCP server made with the SDK, on loopback: tools that do what servers do, and some of what they should not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import Message, UserMessage
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

BLOBS = (("cat.png", "image/png"), ("rules.pdf", "application/pdf"), ("all.zip", "application/zip"))


class Sum(BaseModel):
    """What `add` gives."""

    total: int


@dataclass
class Own:
    """A server that runs. `asked` are the headers and queries of all requests."""

    port: int = 0
    asked: list[tuple[dict[str, str], str]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    demands: tuple[str, str] | None = None  # a header and its value, without which there is nothing to be had
    mcp: MCPServer = field(
        default_factory=lambda: MCPServer("own", version="1", instructions="Be kind.", log_level="CRITICAL")
    )

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def document(self, transport: str = "streamable_http", **more: Any) -> dict[str, Any]:
        """Its document, as it is stored."""
        url = f"http://{self.host}/{'sse' if transport == 'sse' else 'mcp'}"
        return {"name": "own", "transport": transport, "url": url, "headers": {}, "allowed_tools": None, **more}


def tools(own: Own) -> None:
    """Give the server its tools, resources and prompts."""
    mcp = own.mcp

    @mcp.tool(structured_output=True)
    def add(a: int, b: int) -> Sum:
        """Adds two numbers."""
        own.calls.append({"a": a, "b": b})
        return Sum(total=a + b)

    @mcp.tool(structured_output=False)
    def words(text: str) -> list[TextContent]:
        """Says it back, word by word."""
        return [TextContent(type="text", text=word) for word in text.split()]

    @mcp.tool(structured_output=False)
    def as_json() -> str:
        """JSON in a text."""
        return '{"n": [1, 2]}'

    @mcp.tool(structured_output=False)
    def picture() -> ImageContent:
        """A picture."""
        return ImageContent(type="image", data="aGk=", mime_type="image/png")

    @mcp.tool(structured_output=False)
    def fails(text: str) -> str:
        """Fails, and says so."""
        raise ToolError(text)

    @mcp.tool(structured_output=False)
    def tells_headers() -> str:
        """Fails with what it was sent."""
        raise ToolError(str(own.asked[-1][0].get("authorization")))

    @mcp.tool(structured_output=False)
    async def slow() -> str:
        """Takes a minute."""
        await asyncio.sleep(60)
        return "late"

    @mcp.tool(structured_output=False)
    def huge(size: int) -> str:
        """As many letters as are asked for."""
        return "x" * size

    @mcp.tool(structured_output=False)
    def grow() -> str:
        """Makes another tool of this server's list."""
        mcp.add_tool(lambda: "new", name="grown", description="New.")
        return "grown"

    @mcp.resource("notes://today")
    def today() -> str:
        """Today's notes."""
        return "Feed the cat."

    @mcp.resource("notes://{day}")
    def notes(day: str) -> str:
        """A day's notes."""
        return f"Nothing on {day}."

    @mcp.resource("notes://cat.png", mime_type="image/png")
    def cat() -> bytes:
        """A cat."""
        return b"meow"

    @mcp.prompt()
    def summarise(text: str, tone: str = "plain") -> str:
        """Asks for a summary."""
        return f"Summarise in a {tone} tone: {text}"

    @mcp.prompt()
    def everything() -> list[Message]:
        """One message of each kind of content."""
        note = TextResourceContents(uri="notes://today", text="Feed the cat.")
        held = {name: BlobResourceContents(uri=f"notes://{name}", mime_type=kind, blob="aGk=") for name, kind in BLOBS}
        contents: list[ContentBlock] = [
            ImageContent(type="image", data="aGk=", mime_type="image/png"),
            AudioContent(type="audio", data="aGk=", mime_type="audio/wav"),
            AudioContent(type="audio", data="aGk=", mime_type="audio/ogg"),
            EmbeddedResource(type="resource", resource=note),
            *(EmbeddedResource(type="resource", resource=each) for each in held.values()),
            ResourceLink(type="resource_link", name="today", uri="notes://today"),
        ]
        return [UserMessage(each) for each in contents]


@contextmanager
def serving(transport: str = "streamable_http", **settings: Any) -> Iterator[Own]:
    """The server on a free port, until the block ends."""
    own = Own(**settings)
    tools(own)
    app = own.mcp.sse_app() if transport == "sse" else own.mcp.streamable_http_app()
    server = uvicorn.Server(uvicorn.Config(_watched(own, app), port=0, log_config=None, ws="none", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            thread.join(0.01)
        own.port = server.servers[0].sockets[0].getsockname()[1]
        yield own
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
        assert not thread.is_alive()


def _watched(own: Own, app: ASGIApp) -> ASGIApp:
    """The app, with a look at what it is asked and a door before it."""

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        own.asked.append((headers, scope["query_string"].decode()))
        if own.demands is not None and headers.get(own.demands[0]) != own.demands[1]:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            return await send({"type": "http.response.body", "body": b""})
        return await app(scope, receive, send)

    return watched
