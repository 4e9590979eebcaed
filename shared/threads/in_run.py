"""Threads as the nodes of a run see them: `shared.nodes.world.Threads`.

Where the run answers a message of a chat, the chat keeps that message and the answer (`stepfunctions.chat`). Then the
message is no history to the run, and the run adds nothing to that thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.threads.store import ThreadStore


def message_key(execution_id: str) -> str:
    """The key under which a chat adds the message that a run answers."""
    return f"{execution_id} message"


class RunThreads:
    """The tenant's threads, for one run."""

    def __init__(self, store: ThreadStore, execution_id: str) -> None:
        self._store = store
        self._key = message_key(execution_id)

    def history(self, thread_id: str, limit: int) -> list[dict[str, Any]]:
        """See `shared.nodes.world.Threads`."""
        return self._store.history(thread_id, limit, before=self._store.appended(thread_id, self._key))

    def append(self, thread_id: str, said: Sequence[Mapping[str, Any]], *, key: str) -> int:
        """See `shared.nodes.world.Threads`."""
        kept = self._store.appended(thread_id, self._key)
        return self._store.append(thread_id, said, key=key) if kept is None else kept
