"""Who is connected, and who watches what."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from shared import tenancy
from shared.store.keys import Key, connection
from shared.store.table import Change, Directory, TenantTable
from shared.tenancy import Tenant

# API Gateway ends every connection after two hours; what is left of one after that is nobody's.
_LIFE_SECONDS: Final = 3 * 3600


@dataclass(frozen=True, slots=True)
class Connection:
    """A WebSocket connection: whose it is and which channels it watches."""

    id: str
    tenant: Tenant
    channels: tuple[str, ...]


def add(connection_id: str, tenant: Tenant) -> None:
    """Remember a new connection."""
    item = {"tenant_id": tenant.id, "channels": [], "ttl": _ttl()}
    Directory().put(connection(connection_id), item)


def find(connection_id: str) -> Connection | None:
    """The connection, or None."""
    entry = Directory().get(connection(connection_id))
    if entry is None:
        return None
    return Connection(connection_id, tenancy.from_directory(entry), tuple(entry["channels"]))


def watch(known: Connection, channel: str) -> None:
    """Let a connection watch a channel."""
    _keep_channels(known, {*known.channels, channel})
    table = TenantTable(known.tenant)
    table.put(Key(table.keys.channel(channel), known.id), {"ttl": _ttl()})


def unwatch(known: Connection, channel: str) -> None:
    """Let it watch the channel no longer."""
    table = TenantTable(known.tenant)
    table.delete(Key(table.keys.channel(channel), known.id))
    _keep_channels(known, set(known.channels) - {channel})


def watchers(tenant: Tenant, channel: str) -> list[str]:
    """The ids of the connections that watch a channel."""
    table = TenantTable(tenant)
    found = table.query_all(table.keys.channel(channel), attributes=["SK"])
    return [item["SK"] for item in found]


def remove(connection_id: str, tenant: Tenant | None = None, channels: Iterable[str] = ()) -> None:
    """Forget a connection and what it watches; `channels` are such as are known beside those it has itself."""
    known = find(connection_id)
    if known is not None:
        tenant, channels = known.tenant, {*known.channels, *channels}
    if tenant is not None:
        table = TenantTable(tenant)
        for channel in channels:
            table.delete(Key(table.keys.channel(channel), connection_id))
    Directory().delete(connection(connection_id))


def _keep_channels(known: Connection, channels: set[str]) -> None:
    if channels != set(known.channels):
        Directory().update(connection(known.id), Change(set={"channels": sorted(channels)}))


def _ttl() -> int:
    return int(time.time()) + _LIFE_SECONDS
