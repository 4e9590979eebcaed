"""A session with an MCP server: opened for one call, closed behind it. Loads the MCP SDK, so import it when needed.

    async with session(world, document) as server:
        result = await server.call_tool("add", {"a": 1, "b": 2})

Every failure is a NodeError with one of `shared.mcp.errors.SESSION_ERRORS`; no message holds what the credential holds.
"""

from __future__ import annotations

import logging
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

import httpx2
import mcp_types as types
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from shared.credentials.signing import Signature
from shared.mcp.auth import auth_of
from shared.mcp.failures import Seen, node_error
from shared.mcp.reach import Reach
from shared.nodes.base import NodeError
from shared.nodes.json_schemas import faults, schema_problems
from shared.outbound.sdk import PublicTransport2
from shared.outbound.transport import shared_transport

R = TypeVar("R", bound=types.Result)

MAX_BYTES: Final = 10_000_000  # of one answer
MAX_LISTED: Final = 1_000
_CONNECT_SECONDS: Final = 10.0
_CLIENT: Final = types.Implementation(name="statewright", version="1")

# They write what servers send, and addresses with keys in them.
logging.getLogger("mcp").setLevel(logging.CRITICAL)
logging.getLogger("httpx2").setLevel(logging.WARNING)
logging.getLogger("httpcore2").setLevel(logging.WARNING)


class Session:
    """A server that has answered. Methods raise NodeError."""

    def __init__(self, client: Client, document: Mapping[str, Any]) -> None:
        self._client = client
        self._name: str = document["name"]
        allowed = document.get("allowed_tools")
        self._allowed: frozenset[str] | None = None if allowed is None else frozenset(allowed)

    def about(self) -> dict[str, Any]:
        """`{name, version, protocol, instructions, capabilities}`, where capabilities are names."""
        info, capabilities = self._client.server_info, self._client.server_capabilities
        return {
            "name": info.name if info else None,
            "version": info.version if info else None,
            "protocol": self._client.protocol_version,
            "instructions": (self._client.instructions or "")[:10_000] or None,
            "capabilities": sorted(capabilities.model_dump(exclude_none=True, by_alias=True)),
        }

    async def tools(self) -> list[dict[str, Any]]:
        """The tools that the server has and the document allows: `{name, description, input_schema, output_schema}`."""
        found = await self._all("tools", self._client.list_tools, lambda page: page.tools)
        return [
            {
                "name": tool.name,
                "description": tool.description or tool.title or "",
                "input_schema": tool.input_schema,
                "output_schema": tool.output_schema,
            }
            for tool in found
            if self._allowed is None or tool.name in self._allowed
        ]

    async def resources(self) -> list[dict[str, Any]]:
        """The resources: `{uri, name, description, mime_type}`; the addresses with holes in them come last."""
        found = await self._all("resources", self._client.list_resources, lambda page: page.resources)
        holes = await self._all("resources", self._client.list_resource_templates, lambda page: page.resource_templates)
        return [
            {
                "uri": str(getattr(each, "uri", None) or each.uri_template),
                "name": each.name,
                "description": each.description or "",
                "mime_type": each.mime_type,
            }
            for each in [*found, *holes]
        ]

    async def prompts(self) -> list[dict[str, Any]]:
        """The prompts: `{name, description, arguments: [{name, description, required}]}`."""
        found = await self._all("prompts", self._client.list_prompts, lambda page: page.prompts)
        return [
            {
                "name": prompt.name,
                "description": prompt.description or "",
                "arguments": [
                    {"name": a.name, "description": a.description or "", "required": bool(a.required)}
                    for a in prompt.arguments or ()
                ],
            }
            for prompt in found
        ]

    async def call_tool(self, name: str, args: dict[str, Any]) -> types.CallToolResult:
        """The tool's result. Both it and the arguments fit the schemas that the server gives for them.

        Raises NodeError NotAllowed, ToolNotFound, InvalidArguments, ToolFailed (with what the tool says), …
        """
        if self._allowed is not None and name not in self._allowed:
            message = f"the tool {name[:100]!r} is not among the allowed ones of {self._name}"
            raise NodeError("NotAllowed", message, retryable=False)
        tool = next((t for t in await self.tools() if t["name"] == name), None)
        if tool is None:
            raise NodeError("ToolNotFound", f"{self._name} has no tool {name[:100]!r}", retryable=False)
        _held_against(tool["input_schema"], args, "InvalidArguments")
        result = self._sized(await self._client.call_tool(name, args))
        if result.is_error:
            said = " ".join(part.text for part in result.content if isinstance(part, types.TextContent))
            raise NodeError("ToolFailed", said or f"{name} failed and did not say why", retryable=False)
        if tool["output_schema"] is not None:
            _held_against(tool["output_schema"], result.structured_content, "InvalidResponse")
        return result

    async def read_resource(self, uri: str) -> types.ReadResourceResult:
        """A resource's contents."""
        return self._sized(await self._client.read_resource(uri))

    async def get_prompt(self, name: str, args: dict[str, str]) -> types.GetPromptResult:
        """A prompt's messages."""
        return self._sized(await self._client.get_prompt(name, args))

    def _sized(self, result: R) -> R:
        """The result, if it is not too large: what comes over a pipe nobody has counted."""
        if len(result.model_dump_json()) > MAX_BYTES:
            raise NodeError("ResponseTooLarge", f"an answer of {self._name} is too large", retryable=False)
        return result

    async def _all(
        self, capability: str, ask: Callable[..., Awaitable[Any]], of: Callable[[Any], list[Any]]
    ) -> list[Any]:
        """Every page of a list; nothing of a server that has no such thing."""
        if getattr(self._client.server_capabilities, capability) is None:
            return []
        found: list[Any] = []
        cursor: str | None = None
        while True:
            page = await ask(cursor=cursor)
            found += of(page)
            cursor = page.next_cursor
            if len(found) > MAX_LISTED:
                message = f"{self._name} lists more than {MAX_LISTED:,} {capability}"
                raise NodeError("ResponseTooLarge", message, retryable=False)
            if not cursor or not of(page):
                return found


@asynccontextmanager
async def session(
    reach: Reach, document: Mapping[str, Any], usage: dict[str, Any] | None = None
) -> AsyncIterator[Session]:
    """A session with the server of this document (`shared.resources.documents.McpServer`). Raises NodeError.

    `usage` gets what it took: `milliseconds`, and over HTTP `bytes` (received).
    """
    began = time.monotonic()
    seen = Seen(document["name"], MAX_BYTES)
    try:
        async with AsyncExitStack() as stack:
            yield Session(await _opened(reach, document, seen, stack), document)
    except Exception as error:  # the SDK raises groups, its own and its transport's errors
        raise node_error(error, seen) from None
    finally:
        if usage is not None:
            usage["milliseconds"] = usage.get("milliseconds", 0) + round((time.monotonic() - began) * 1000)
            if seen.received:
                usage["bytes"] = usage.get("bytes", 0) + seen.received


async def _opened(reach: Reach, document: Mapping[str, Any], seen: Seen, stack: AsyncExitStack) -> Client:
    """A client that is connected. An access token that the server refuses is replaced by a fresh one, once."""
    stale: str | None = None
    while True:
        signed, secrets = await auth_of(reach, document.get("credential"), stale)
        seen.begin(secrets)
        client = Client(await _transport(reach, document, signed, seen), client_info=_CLIENT, cache=None)
        try:
            await stack.enter_async_context(client)
        except Exception as error:  # likewise; what is no refusal is raised
            refused = node_error(error, seen).error == "AuthenticationFailed"
            if not refused or signed.token is None or stale is not None:
                raise
            stale = signed.token
        else:
            # The SDK holds results against the server's schemas without bounds: a pattern may take for ever. We do it.
            client.session.validate_tool_result = _unchecked  # type: ignore[method-assign]
            return client


async def _unchecked(name: str, result: types.CallToolResult) -> None: ...


async def _transport(reach: Reach, document: Mapping[str, Any], signed: Signature, seen: Seen) -> Any:
    if document["transport"] == "stdio":
        return _command(reach, document)
    inner = PublicTransport2(await shared_transport(reach.allowed_hosts))
    query = dict(signed.query)
    sent = {"accept-encoding": "identity", **document.get("headers", {}), **signed.headers}

    def client(headers: Any = None, timeout: Any = None, auth: Any = None) -> httpx2.AsyncClient:
        del headers, timeout, auth  # the SDK's own, for which ours stand
        return httpx2.AsyncClient(
            transport=seen.watching(inner),
            headers=sent,
            params=query,
            trust_env=False,
            timeout=httpx2.Timeout(None, connect=_CONNECT_SECONDS),
        )

    if document["transport"] == "sse":
        return sse_client(document["url"], httpx_client_factory=client)
    return streamable_http_client(document["url"], http_client=client(), max_sse_event_size=MAX_BYTES)


def _command(reach: Reach, document: Mapping[str, Any]) -> Any:
    """A command that the operator allows, in a folder of no interest, with none of the function's environment."""
    words = reach.mcp_commands.get(document["command"])
    if not words:
        message = f"the operator of this installation allows no command {document['command'][:100]!r}"
        raise NodeError("NotAllowed", message, retryable=False)
    server = StdioServerParameters(command=words[0], args=list(words[1:]), cwd=tempfile.gettempdir())
    return stdio_client(server, errlog=subprocess.DEVNULL)  # type: ignore[arg-type]  # as good as a file to anyio


def _held_against(schema: Any, value: Any, error: str) -> None:
    broken = next(schema_problems(schema, "schema"), None)
    if broken is not None:
        raise NodeError("InvalidResponse", f"the tool's own schema cannot be used: {broken.message}", retryable=False)
    found = faults(value, schema)
    if found:
        raise NodeError(error, "; ".join(found)[:1_000], retryable=False)
