"""An agent's memory in the tenant's own Redis, Upstash's among them: a list of messages and a hash of what was added.

Keys `statewright:{<thread>}:messages` and `…:added`; the braces keep them together in a cluster. Loads redis, so import
it when needed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.nodes._tenant_things import ask
from shared.nodes.base import Call
from shared.nodes.databases._redis import reached
from shared.nodes.world import Credential
from shared.threads.messages import bodies, checked_id

# Atomic, and nothing is added twice: what was added under the key says at which number.
_APPEND: Final = """
local number = redis.call('HGET', KEYS[2], ARGV[1])
if number then return tonumber(number) end
number = redis.call('LLEN', KEYS[1])
for i = 2, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
redis.call('HSET', KEYS[2], ARGV[1], number)
return number
"""


class RedisMemory:
    """See `shared.nodes.ai._memories.Memory`."""

    def __init__(self, call: Call, found: Credential) -> None:
        self._call = call
        self._found = found

    async def history(self, thread_id: str, limit: int) -> list[dict[str, Any]]:
        """The last messages. Raises NodeError."""
        messages, _ = await _keys(thread_id)
        if limit < 1:
            return []
        async with reached(self._call, self._found) as redis:
            kept = await redis.execute_command("LRANGE", messages, -limit, -1)
        return [json.loads(m) for m in kept]

    async def append(self, thread_id: str, said: Sequence[Mapping[str, Any]], *, key: str) -> int:
        """Add messages. Raises NodeError."""
        messages, added = await _keys(thread_id)
        kept = await ask(lambda: bodies(said))
        texts = [f'{{"role":"{m["role"]}","content":{m["content"]}}}' for m in kept]
        async with reached(self._call, self._found) as redis:
            return int(await redis.execute_command("EVAL", _APPEND, 2, messages, added, key, *texts))


async def _keys(thread_id: str) -> tuple[str, str]:
    name = await ask(lambda: checked_id(thread_id))
    return f"statewright:{{{name}}}:messages", f"statewright:{{{name}}}:added"
