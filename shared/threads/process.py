"""Threads in this process's own memory: gone with it. For tests, and for trying a workflow out on one machine.

Other tenants' runs are in the same process, so what one tenant keeps here has bounds: the thread that was used least
lately goes first, and the tenant that was here least lately.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any, Final

from shared.tenancy import Tenant
from shared.threads.messages import bodies, checked_id

_MOST: Final = 8_000_000  # characters of a tenant's threads
_TENANTS: Final = 16
_OVERHEAD: Final = 200  # characters that a message counts for beside its own


@dataclass
class _Kept:
    said: list[dict[str, Any]] = field(default_factory=list)
    added: dict[str, int] = field(default_factory=dict)
    size: int = 0


class ProcessThreads:
    """`shared.nodes.world.Threads`, as long as the process lives."""

    def __init__(self) -> None:
        self._threads: dict[str, _Kept] = {}
        self._turn = Lock()

    def history(self, thread_id: str, limit: int) -> list[dict[str, Any]]:
        """See the protocol."""
        with self._turn:
            kept = self._threads.get(checked_id(thread_id), _Kept())
            newest = kept.said[-limit:] if limit > 0 else []
        return [{"role": m["role"], "content": json.loads(m["content"])} for m in newest]

    def append(self, thread_id: str, said: Sequence[Mapping[str, Any]], *, key: str) -> int:
        """See the protocol."""
        added = bodies(said)
        with self._turn:
            kept = self._threads.setdefault(checked_id(thread_id), _Kept())
            self._threads[thread_id] = self._threads.pop(thread_id)  # the last is the one that was used last
            if key not in kept.added:
                kept.added[key] = len(kept.said)
                kept.said += added
                kept.size += sum(len(m["content"]) + _OVERHEAD for m in added) + len(key)
            number = kept.added[key]
            while sum(t.size for t in self._threads.values()) > _MOST:
                del self._threads[next(iter(self._threads))]
            return number


@lru_cache(_TENANTS)
def threads_of(_tenant: Tenant) -> ProcessThreads:
    """A tenant's threads in this process."""
    return ProcessThreads()
