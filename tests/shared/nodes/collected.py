"""Collections for tests of the nodes that work on them: a tenant's, on moto, embedded by a model on loopback."""

from __future__ import annotations

from typing import Any

from shared.collections.model import CollectionRecord, Model
from shared.collections.opened import TenantCollections
from shared.collections.store import CollectionStore
from shared.ids import new_id
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from tests.servers.embeddings import KEY, WORDS, Embeddings
from tests.shared.nodes.calls import Keyring, Outside

BY_WORDS = Model("openai", "words", "models")


def world_of(tenant: Tenant, server: Embeddings | None = None) -> Outside:
    """The tenant's collections, and a credential `models` for the server."""
    values = {"api_key": KEY, "base_url": server.url} if server else {"api_key": KEY}
    return Outside(
        collections=TenantCollections(tenant),
        credentials=Keyring({"models": ("openai", values), "crm": ("bearer", {"token": "hush"})}),
        allowed_hosts=frozenset({server.host} if server else ()),
    )


def made(tenant: Tenant, name: str = "handbook", dimension: int = WORDS, **more: Any) -> CollectionRecord:
    """A collection of the tenant's, embedded by words unless `model` says otherwise."""
    record = CollectionRecord(name, new_id("co"), 1, dimension, **{"model": BY_WORDS, **more})
    CollectionStore(TenantTable(tenant)).add(record)
    return record
