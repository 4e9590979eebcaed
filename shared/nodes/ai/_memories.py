"""Where an agent's memory is kept: the tenant's threads, or a store that the agent names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from shared.nodes._credentials import credential
from shared.nodes._tenant_things import ask
from shared.nodes.base import Call, NodeError
from shared.nodes.world import Threads


class Memory(Protocol):
    """What was said in threads."""

    async def history(self, thread_id: str, limit: int) -> list[dict[str, Any]]:
        """The last messages `{role, content}`, the oldest of them first. Raises NodeError."""
        ...

    async def append(self, thread_id: str, said: Sequence[Mapping[str, Any]], *, key: str) -> int:
        """Add messages; gives the number of the first. The same `key` adds nothing twice. Raises NodeError."""
        ...


class _Blocking:
    """Threads whose calls block."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    async def history(self, thread_id: str, limit: int) -> list[dict[str, Any]]:
        return await ask(lambda: self._threads.history(thread_id, limit))

    async def append(self, thread_id: str, said: Sequence[Mapping[str, Any]], *, key: str) -> int:
        return await ask(lambda: self._threads.append(thread_id, said, key=key))


async def memory(call: Call, where: Mapping[str, Any]) -> Memory:
    """The memory that `{provider, credential}` names. Raises NodeError."""
    provider, name = where.get("provider") or "threads", where.get("credential")
    if provider == "threads":
        return _Blocking(call.world.threads)
    if provider == "process":
        return _Blocking(call.world.process_threads)
    found = await credential(replace(call, config={"credential": name}), provider)
    if found is None:
        message = f"a memory in {provider} needs a credential of that kind: memory.credential"
        raise NodeError("InvalidInput", message, retryable=False)
    if provider == "redis":
        from shared.nodes.ai._memory_redis import RedisMemory  # redis loads with it

        return RedisMemory(call, found)
    from shared.nodes.ai._memory_libsql import LibsqlMemory

    return LibsqlMemory(call, found)
