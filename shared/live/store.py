"""Who watches what."""

from __future__ import annotations

from typing import Final

from shared.clock import now_ms
from shared.store.keys import Key
from shared.store.table import TenantTable

# API Gateway ends every connection after two hours; what is left of one after that is nobody's.
LIFE_SECONDS: Final = 3 * 3600


class ChannelStore:
    """One tenant's channels: the ids of the connections that watch each."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table

    def add(self, channel: str, connection_id: str) -> None:
        """Let a connection watch a channel. Doing it twice is no error."""
        self._table.put(self._key(channel, connection_id), {"ttl": now_ms() // 1000 + LIFE_SECONDS})

    def remove(self, channel: str, connection_id: str) -> None:
        """Let it watch the channel no longer. Doing it twice is no error."""
        self._table.delete(self._key(channel, connection_id))

    def watchers(self, channel: str) -> list[str]:
        """The connections that watch a channel."""
        found = self._table.query_all(self._table.keys.channel(channel), attributes=["SK"])
        return [item["SK"] for item in found]

    def _key(self, channel: str, connection_id: str) -> Key:
        return Key(self._table.keys.channel(channel), connection_id)
