"""Threads in this process's own memory: gone with it. For tests, and for trying a workflow out on one machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import Any

from shared.tenancy import Tenant
from shared.threads.messages import bodies, checked_id


@dataclass
class _Kept:
    said: list[dict[str, Any]] = field(default_factory=list)
    added: dict[str, int] = field(default_factory=dict)


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
            if key not in kept.added:
                kept.added[key] = len(kept.said)
                kept.said += added
            return kept.added[key]


@cache
def threads_of(_tenant: Tenant) -> ProcessThreads:
    """A tenant's threads in this process."""
    return ProcessThreads()
