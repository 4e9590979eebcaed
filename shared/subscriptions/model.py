"""What a published workflow listens for: files, events or a chat; and calls of it as a tool of the MCP server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

ListenerType = Literal["file_watch", "event_listener", "chat_trigger", "mcp_tool"]
LISTENERS: Final[tuple[ListenerType, ...]] = ("file_watch", "event_listener", "chat_trigger")  # types of nodes
MCP_TOOL: Final[ListenerType] = "mcp_tool"  # is no node's type: the node is the one at which a call starts the run


@dataclass(frozen=True, slots=True)
class Subscription:
    """One trigger node of a published workflow. `config` is the node's, in workflow version `version`.

    Of an `mcp_tool`, `node_id` is the manual trigger's (`-`: the workflow has no triggers), and `config` is `{name,
    description, input_schema, since}`: what the trigger takes, and since when (ms) the tool has that name.
    """

    kind: ListenerType
    workflow_id: str
    node_id: str
    config: Mapping[str, Any]
    version: int
