"""Sessions and nodes over servers that tests start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from shared.errors import NotFound
from shared.mcp.sessions import Session, session
from shared.nodes.base import NodeError
from tests.shared.nodes.calls import Outside


@dataclass
class Shelf:
    """A tenant's named things: `Shelf({("mcp_servers", "own"): document})`."""

    held: Mapping[tuple[str, str], Mapping[str, Any]]

    def find(self, kind: str, named: str) -> Mapping[str, Any]:
        if (kind, named) not in self.held:
            raise NotFound(f"there is no {kind} {named}")
        return self.held[kind, named]


def shelf(*servers: Mapping[str, Any], **tools: Mapping[str, Any]) -> Shelf:
    """These servers, by their names, and these tools."""
    known = {("mcp_servers", s["name"]): s for s in servers}
    return Shelf({**known, **{("tools", name): {"name": name, **tool} for name, tool in tools.items()}})


def world(*servers: Mapping[str, Any], **more: Any) -> Outside:
    """A world that has these servers, and may reach them."""
    hosts = frozenset(s["url"].split("/")[2] for s in servers if s.get("url"))
    return Outside(**{"allowed_hosts": hosts, "resources": shelf(*servers), **more})


def inside(document: Mapping[str, Any], do: Callable[[Session], Awaitable[Any]], **more: Any) -> Any:
    """What `do` gives with a session."""

    async def opened() -> Any:
        async with session(world(document, **more), document) as server:
            return await do(server)

    return asyncio.run(opened())


def failure(document: Mapping[str, Any], do: Callable[[Session], Awaitable[Any]], **more: Any) -> NodeError:
    """What a session fails of."""
    with pytest.raises(NodeError) as caught:
        inside(document, do, **more)
    return caught.value
