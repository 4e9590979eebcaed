"""A thread: what was said in a conversation, in order. Agents remember by it, chats show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

THREAD_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,99}$"
MAX_MESSAGE: Final = 200_000  # bytes of a message's content as JSON; an item of DynamoDB holds 400 KB
MAX_APPENDED: Final = 90  # messages at once: a transaction has 100 writes

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread. Times are milliseconds since the epoch; `messages` counts those that were not removed.

    `version` counts the changes of title and metadata and is the ETag.
    """

    id: str
    title: str
    metadata: Mapping[str, str]
    messages: int
    version: int
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Message:
    """What was said. `number` counts from 0 and stays the same when others are removed; `source` is who wrote it: a
    user, a key, or a run and its node.
    """

    number: int
    role: Role
    content: Any  # text, or a list of parts as models take them
    source: str
    created_at: int

    def as_said(self) -> dict[str, Any]:
        """As models take it."""
        return {"role": self.role, "content": self.content}
