"""Who is connected: entries of the directory, since a frame names its connection and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared import tenancy
from shared.clock import now_ms
from shared.live.store import LIFE_SECONDS, ChannelStore
from shared.store.keys import connection
from shared.store.table import Change, Directory, TenantTable
from shared.tenancy import Tenant


@dataclass(frozen=True, slots=True)
class Connection:
    """A WebSocket connection: whose it is and which channels it watches."""

    id: str
    tenant: Tenant
    channels: frozenset[str]


def add(connection_id: str, tenant: Tenant) -> None:
    """Remember a new connection."""
    item = {"tenant_id": tenant.id, "channels": [], "ttl": now_ms() // 1000 + LIFE_SECONDS}
    Directory().put(connection(connection_id), item)


def find(connection_id: str) -> Connection | None:
    """The connection, or None."""
    entry = Directory().get(connection(connection_id))
    if entry is None:
        return None
    return Connection(connection_id, tenancy.from_directory(entry), frozenset(entry["channels"]))


def watch(known: Connection, channel: str) -> None:
    """Let a connection watch a channel."""
    _keep(known, known.channels | {channel})
    ChannelStore(TenantTable(known.tenant)).add(channel, known.id)


def unwatch(known: Connection, channel: str) -> None:
    """Let it watch the channel no longer."""
    ChannelStore(TenantTable(known.tenant)).remove(channel, known.id)
    _keep(known, known.channels - {channel})


def forget(connection_id: str, tenant: Tenant | None = None, channels: Iterable[str] = ()) -> None:
    """Forget a connection and what it watches, as its entry says, and these `channels` of `tenant`."""
    known = find(connection_id)
    if known is not None:
        tenant, channels = known.tenant, {*known.channels, *channels}
    if tenant is not None:
        store = ChannelStore(TenantTable(tenant))
        for channel in channels:
            store.remove(channel, connection_id)
    Directory().delete(connection(connection_id))


def _keep(known: Connection, channels: frozenset[str]) -> None:
    if channels != known.channels:
        Directory().update(connection(known.id), Change(set={"channels": sorted(channels)}))
