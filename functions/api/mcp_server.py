"""A tenant's tools as an MCP server, by the official SDK: streamable HTTP without sessions, answered in JSON.

A function keeps nothing between two requests and streams no answer, so there are no sessions, and no stream of the
server's own. Loads the MCP SDK.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import anyio.to_thread
import mcp_types as types
from mcp import MCPError
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from functions.api.frame import MAX_BODY
from stepfunctions.mcp_tools import Result, Tool, Toolbox

PAGE: Final = 100
IDEMPOTENCY_KEY: Final = "statewright/idempotency-key"  # in a call's `_meta`
_LONGEST_KEY: Final = 255
_ABOUT: Final = (
    "The tools are workflows of this tenant. One that takes long answers with an execution_id: ask for its end with "
    "get_run."
)

# It writes what clients send.
logging.getLogger("mcp").setLevel(logging.CRITICAL)


class McpResponse(Response):
    """The SDK's answer to the request that is being handled, whose body has been read."""

    def __init__(self, body: bytes, toolbox: Toolbox, may_call: Callable[[], None]) -> None:
        super().__init__()
        self._asked: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._toolbox = toolbox
        self._may_call = may_call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer it."""
        manager = StreamableHTTPSessionManager(
            server(self._toolbox, self._may_call), json_response=True, stateless=True, max_request_body_size=MAX_BODY
        )

        async def again() -> Message:
            return self._asked.pop() if self._asked else await receive()

        async with manager.run():
            await manager.handle_request(scope, again, send)


def server(toolbox: Toolbox, may_call: Callable[[], None]) -> Server[Any]:
    """The server of one caller. `may_call` raises what the caller is refused with, if they may not call tools."""

    async def list_tools(_: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        every = await anyio.to_thread.run_sync(toolbox.tools)
        after = _decoded(params.cursor) if params is not None and params.cursor else ""
        left = [t for t in every if t.name > after]
        more = _encoded(left[PAGE - 1].name) if len(left) > PAGE else None
        return types.ListToolsResult(tools=[_listed(t) for t in left[:PAGE]], next_cursor=more)

    async def call_tool(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        may_call()
        key, arguments = _key(ctx.meta), params.arguments or {}
        result = await anyio.to_thread.run_sync(lambda: toolbox.call(params.name, arguments, key))
        if result is None:
            raise MCPError(types.INVALID_PARAMS, f"there is no tool {params.name[:100]!r}")
        return _answered(result)

    return Server("statewright", version="1", instructions=_ABOUT, on_list_tools=list_tools, on_call_tool=call_tool)


def _listed(tool: Tool) -> types.Tool:
    hints = types.ToolAnnotations(read_only_hint=True) if tool.read_only else None
    return types.Tool(
        name=tool.name, description=tool.description, input_schema=dict(tool.input_schema), annotations=hints
    )


def _answered(result: Result) -> types.CallToolResult:
    text = json.dumps(result.value, ensure_ascii=False)
    content: list[types.ContentBlock] = [types.TextContent(type="text", text=text)]
    return types.CallToolResult(content=content, structured_content=dict(result.value), is_error=result.is_error)


def _key(meta: Any) -> str | None:
    """The key with which a client repeats a call. Raises MCPError for one that cannot be."""
    key = meta.get(IDEMPOTENCY_KEY) if isinstance(meta, Mapping) else None
    if key is None:
        return None
    if not isinstance(key, str) or not 0 < len(key) <= _LONGEST_KEY:
        raise MCPError(types.INVALID_PARAMS, f"{IDEMPOTENCY_KEY} is a text of at most {_LONGEST_KEY} characters")
    return key


def _encoded(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _decoded(cursor: str) -> str:
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise MCPError(types.INVALID_PARAMS, "the cursor is malformed") from None
