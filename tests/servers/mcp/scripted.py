"""An MCP server of the older kind that answers by script, and wrongly where a test wants it to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.shared.nodes.http_server import Asked, Reply, Server, serving

# What the script gives for a method: the result, a whole reply, or something that gives one of both.
Script = Mapping[str, Any]
_HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {}, "resources": {}, "prompts": {}},
    "serverInfo": {"name": "scripted", "version": "0"},
}


def tool(name: str = "act", **more: Any) -> dict[str, Any]:
    """A tool as the server lists it."""
    return {"name": name, "description": "Acts.", "inputSchema": {"type": "object"}, **more}


def listed(*tools: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What `tools/list` gives."""
    return {"tools": list(tools), **more}


def text(said: str, **more: Any) -> dict[str, Any]:
    """What `tools/call` gives."""
    return {"content": [{"type": "text", "text": said}], **more}


def document(server: Server, **more: Any) -> dict[str, Any]:
    """The server's document, as it is stored."""
    known = {"name": "scripted", "transport": "streamable_http", "url": f"{server.url}/mcp"}
    return {**known, "headers": {}, "allowed_tools": None, **more}


@contextmanager
def scripted(script: Script) -> Iterator[Server]:
    """The server on a free port; what the script does not name, it does not know."""

    def answer(asked: Asked) -> Reply:
        if asked.method != "POST":
            return Reply(b"", 405)
        message = asked.json
        if "id" not in message:
            return Reply(b"", 202)
        known: dict[str, Any] = {"initialize": _HELLO, **script}
        if message["method"] not in known:
            error = {"code": -32601, "message": "unknown"}
            return Reply({"jsonrpc": "2.0", "id": message["id"], "error": error}, 200, _JSON)
        given = known[message["method"]]
        given = given(message.get("params") or {}) if isinstance(given, Callable) else given  # type: ignore[arg-type]
        if isinstance(given, Reply):
            return given
        return Reply({"jsonrpc": "2.0", "id": message["id"], "result": given}, 200, _JSON)

    with serving(answer) as server:
        yield server


_JSON = {"Content-Type": "application/json"}
