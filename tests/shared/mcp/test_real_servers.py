"""Servers that others have written: one from PyPI over stdio, one from npm over each of the transports."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from shared.mcp.results import contents, messages, plain
from shared.mcp.sessions import Session
from tests.servers.mcp import TIME_SERVER, everything
from tests.shared.mcp.calls import failure, inside

TIME = {"name": "time", "transport": "stdio", "command": "time"}
COMMANDS = {"time": [TIME_SERVER, "--local-timezone", "UTC"]}


@pytest.fixture(autouse=True)
def _node_is_there() -> None:
    assert shutil.which("node"), "the reference server needs Node"


@pytest.fixture(scope="module", params=["streamableHttp", "sse", "stdio"])
def reference(request: pytest.FixtureRequest) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The reference server's document, and what of the world it takes."""
    if request.param == "stdio":
        command = ["node", str(everything.installed()), "stdio"]
        yield {"name": "everything", "transport": "stdio", "command": "it"}, {"mcp_commands": {"it": command}}
        return
    with everything.serving(request.param) as port:
        path, transport = ("sse", "sse") if request.param == "sse" else ("mcp", "streamable_http")
        yield {"name": "everything", "transport": transport, "url": f"http://127.0.0.1:{port}/{path}"}, {}


def test_the_time_server() -> None:
    async def asked(server: Session) -> Any:
        listed = [t["name"] for t in await server.tools()]
        return listed, plain(await server.call_tool("get_current_time", {"timezone": "Europe/Berlin"}))

    listed, now = inside(TIME, asked, mcp_commands=COMMANDS)
    assert listed == ["get_current_time", "convert_time"]
    assert (now["timezone"], len(now["datetime"])) == ("Europe/Berlin", len("2026-11-21T06:55:44+01:00"))
    mars = failure(TIME, lambda s: s.call_tool("get_current_time", {"timezone": "Mars"}), mcp_commands=COMMANDS)
    assert (mars.error, "Mars" in mars.message) == ("ToolFailed", True)
    none = failure(TIME, lambda s: s.call_tool("get_current_time", {}), mcp_commands=COMMANDS)
    assert (none.error, "timezone" in none.message) == ("InvalidArguments", True)


def test_the_reference_server(reference: tuple[dict[str, Any], dict[str, Any]]) -> None:
    async def asked(server: Session) -> dict[str, Any]:
        return {
            "about": server.about(),
            "tools": {t["name"] for t in await server.tools()},
            "resources": await server.resources(),
            "prompts": {p["name"]: p for p in await server.prompts()},
            "echo": plain(await server.call_tool("echo", {"message": "hello"})),
            "sum": plain(await server.call_tool("get-sum", {"a": 2, "b": 3})),
            "weather": plain(await server.call_tool("get-structured-content", {"location": "New York"})),
            "image": plain(await server.call_tool("get-tiny-image", {})),
        }

    document, more = reference
    found = inside(document, asked, **more)
    assert {"tools", "resources", "prompts"} <= set(found["about"]["capabilities"])
    assert {"echo", "get-sum"} <= found["tools"]
    assert found["echo"] == "Echo: hello"
    assert "5" in found["sum"]
    assert set(found["weather"]) == {"temperature", "conditions", "humidity"}
    assert "image" in {part["type"] for part in found["image"]}
    assert found["resources"]
    assert failure(document, lambda s: s.call_tool("echo", {}), **more).error == "InvalidArguments"


def test_the_reference_servers_resources_and_prompts(reference: tuple[dict[str, Any], dict[str, Any]]) -> None:
    async def asked(server: Session) -> Any:
        first = next(r["uri"] for r in await server.resources() if "{" not in r["uri"])
        read = contents(await server.read_resource(first))
        plainly = messages(await server.get_prompt("simple-prompt", {}))
        return read, plainly, messages(await server.get_prompt("args-prompt", {"city": "Oslo"}))

    document, more = reference
    read, plainly, filled = inside(document, asked, **more)
    assert isinstance(read, str)
    assert plainly[0]["role"] == "user"
    assert "Oslo" in filled[0]["content"]
