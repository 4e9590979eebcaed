"""A tenant's tools, for whoever calls them in a run: function_call, tool_router, agents.

    toolbox = Toolbox(call)
    specs = await toolbox.catalogue(["lookup_order"], ["crm"])      # names of tools, names of MCP servers
    result = await toolbox.call(specs[0], {"id": 7}, idempotency_key="…", timeout=30)

A name leads to the tenant's tool of that name, else to the built-in one. Arguments are held against the tool's schema
before anything is called. A result is JSON, at most `MAX_RESULT` bytes of it. Nothing here holds or shows a secret: a
`ToolSpec` may be stored, and `ToolSpec.from_dict` reads it back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeVar

from shared.errors import AppError, NotFound
from shared.nodes.base import Call, NodeError
from shared.nodes.json_schemas import faults, schema_problems
from shared.resources.model import Kind

T = TypeVar("T")

MAX_RESULT: Final = 1_000_000
_ANYTHING: Final[Mapping[str, Any]] = {"type": "object"}


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it, and where it leads.

    `name` is unique in its catalogue and fits what models take: letters, digits, `_` and `-`, at most 64. `asks`: a
    person has to agree before it is called, which is for the caller to see to. `source` is the tool's own part of its
    document.
    """

    name: str
    description: str
    input_schema: Mapping[str, Any]
    asks: bool
    kind: Literal["http", "workflow", "mcp", "builtin"]
    source: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ToolSpec:
        """From its JSON."""
        return cls(**data)


class Toolbox:
    """The tools of a run's tenant, for one node's call."""

    def __init__(self, call: Call) -> None:
        self._call = call

    async def catalogue(self, names: Sequence[str] = (), servers: Sequence[str] = ()) -> list[ToolSpec]:
        """The tools of these names, and all that these MCP servers have and their documents allow.

        A server's tool is named `<server>__<tool>`, and asks nobody; so one that a named tool leads to which asks is
        left out. Servers are asked anew: what they have may change.
        Raises NodeError: ToolNotFound, ServerNotFound, and what keeps a server from answering.
        """
        found = await _together([self.find(name) for name in dict.fromkeys(names)])
        asked = list(dict.fromkeys(servers))
        guarded = {(s.source["server"], s.source["tool"]) for s in found if s.asks and s.kind == "mcp"}
        for server, listed in zip(asked, await _together([self._listed(name) for name in asked]), strict=True):
            taken = {spec.name for spec in found}
            for tool in listed:
                if (server, tool["name"]) in guarded:
                    continue
                found.append(_of_server(server, tool, taken))
                taken.add(found[-1].name)
        return found

    async def find(self, name: str) -> ToolSpec:
        """The tool of that name. Raises NodeError as `catalogue` does."""
        from shared.tools.builtin import BUILTINS

        try:
            document = await self.document("tools", name)
        except NotFound:
            if name not in BUILTINS:
                raise NodeError("ToolNotFound", f"there is no tool {name[:100]!r}", retryable=False) from None
            document = {"name": name, "kind": "builtin", "builtin": name}
        description, schema = document.get("description") or "", document.get("input_schema")
        if document["kind"] == "builtin":
            builtin = BUILTINS[document["builtin"]]
            description, schema = description or builtin.description, schema or builtin.input_schema
        elif document["kind"] == "mcp" and (schema is None or not description):
            listed = {t["name"]: t for t in await self._listed(document["server"])}
            tool = listed.get(document["tool"])
            if tool is None:
                message = f"the server {document['server']} has no tool {document['tool'][:100]!r}, or may not use it"
                raise NodeError("ToolNotFound", message, retryable=False)
            description, schema = description or tool["description"], schema or tool["input_schema"]
        own = {k: v for k, v in document.items() if k not in ("name", "description", "input_schema", "ask_a_person")}
        return ToolSpec(
            name=name,
            description=description,
            input_schema=schema or _ANYTHING,
            asks=bool(document.get("ask_a_person")),
            kind=document["kind"],
            source=own,
        )

    async def call(self, spec: ToolSpec, args: Any, *, idempotency_key: str, timeout: float) -> Any:
        """The tool's result. The same key leads to the same run of a workflow, and goes with every request.

        Raises NodeError with one of `shared.tools.errors.TOOL_ERRORS`; InvalidArguments says what does not fit.
        """
        check_arguments(spec.input_schema, args)
        try:
            async with asyncio.timeout(timeout):
                result = await self._called(spec, dict(args), idempotency_key, timeout)
        except TimeoutError:
            raise NodeError("Timeout", f"{spec.name} did not answer within {timeout:g} seconds") from None
        return capped(result, spec.name)

    async def _called(self, spec: ToolSpec, args: dict[str, Any], key: str, timeout: float) -> Any:
        match spec.kind:
            case "http":
                from shared.tools.http import request

                return await request(self._call, spec.source, args, key, timeout)
            case "workflow":
                from shared.tools.workflow import run

                return await run(self._call, spec.source, args, key, timeout)
            case "mcp":
                from shared.mcp.results import plain
                from shared.mcp.sessions import session

                document = await self._server(spec.source["server"])
                async with session(self._call.world, document, self._call.usage) as opened:
                    return plain(await opened.call_tool(spec.source["tool"], args))
            case "builtin":
                from shared.tools.builtin import BUILTINS

                return await BUILTINS[spec.source["builtin"]].run(self._call, args)

    async def _listed(self, server: str) -> list[dict[str, Any]]:
        from shared.mcp.sessions import session

        document = await self._server(server)
        async with session(self._call.world, document, self._call.usage) as opened:
            listed: list[dict[str, Any]] = await opened.tools()
            return listed

    async def _server(self, name: str) -> Mapping[str, Any]:
        try:
            return await self.document("mcp_servers", name)
        except NotFound:
            raise NodeError("ServerNotFound", f"there is no MCP server {name[:100]!r}", retryable=False) from None

    async def document(self, kind: Kind, name: str) -> Mapping[str, Any]:
        """A document of the tenant's. Raises NotFound; NodeError Unavailable."""
        try:
            return await asyncio.to_thread(lambda: self._call.world.resources.find(kind, name))
        except NotFound:
            raise
        except AppError as error:
            raise NodeError("Unavailable", error.detail) from None


async def _together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """What each gives. Where one fails, the others are stopped: the event loop outlives the call."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def check_arguments(schema: Mapping[str, Any], args: Any) -> None:
    """Raises NodeError InvalidArguments where they do not fit; InvalidResponse for a schema that is none."""
    if not isinstance(args, Mapping):
        raise NodeError("InvalidArguments", "the arguments of a tool are an object", retryable=False)
    broken = next(schema_problems(schema, "input_schema"), None)
    if broken is not None:
        raise NodeError("InvalidResponse", f"the tool's own schema cannot be used: {broken.message}", retryable=False)
    found = faults(dict(args), schema)
    if found:
        raise NodeError("InvalidArguments", "; ".join(found)[:1_000], retryable=False)


def capped(result: Any, name: str) -> Any:
    """The result, if it is JSON of at most `MAX_RESULT` bytes. Raises NodeError ResponseTooLarge, InvalidResponse."""
    try:
        size = len(json.dumps(result, ensure_ascii=False, allow_nan=False).encode(errors="replace"))
    except (TypeError, ValueError, RecursionError):
        raise NodeError("InvalidResponse", f"what {name} gave is not JSON", retryable=False) from None
    if size > MAX_RESULT:
        message = f"{name} gave {size:,} bytes; the limit is {MAX_RESULT:,}"
        raise NodeError("ResponseTooLarge", message, retryable=False)
    return result


def _of_server(server: str, tool: Mapping[str, Any], taken: set[str]) -> ToolSpec:
    from shared.tools.names import free_name

    return ToolSpec(
        name=free_name(f"{server}__{tool['name']}", taken),
        description=tool["description"],
        input_schema=tool["input_schema"],
        asks=False,
        kind="mcp",
        source={"kind": "mcp", "server": server, "tool": tool["name"]},
    )
