"""What a published workflow listens for: files, events or a chat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

ListenerType = Literal["file_watch", "event_listener", "chat_trigger"]
LISTENERS: Final[tuple[ListenerType, ...]] = ("file_watch", "event_listener", "chat_trigger")


@dataclass(frozen=True, slots=True)
class Subscription:
    """One trigger node of a published workflow. `config` is the node's, in workflow version `version`."""

    kind: ListenerType
    workflow_id: str
    node_id: str
    config: Mapping[str, Any]
    version: int
