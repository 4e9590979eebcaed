"""What a session with an MCP server needs of the outside: a part of `shared.nodes.world.World`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from shared.nodes.world import Credentials


class Reach(Protocol):
    """A tenant's way to their MCP servers."""

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """`host:port` that may be reached although the address is private."""
        ...

    @property
    def credentials(self) -> Credentials:
        """The tenant's credentials."""
        ...

    @property
    def mcp_commands(self) -> Mapping[str, Sequence[str]]:
        """The commands that servers may be started with."""
        ...
