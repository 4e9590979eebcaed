"""A tenant's collections as nodes see them (`shared.nodes.world.Collections`)."""

from __future__ import annotations

from shared.collections.model import CollectionRecord
from shared.collections.store import CollectionStore
from shared.nodes.world import Holdings
from shared.store.table import TenantTable
from shared.tenancy import Tenant


class TenantCollections:
    """The collections of one tenant."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._store = CollectionStore(TenantTable(tenant))

    def find(self, name: str) -> CollectionRecord:
        """The collection of that name. Raises NotFound, Unavailable."""
        return self._store.get(name)

    def open(self, collection: CollectionRecord) -> Holdings:
        """What a collection holds, where that is kept by us: `backend` is `embedded` or `s3_vectors`."""
        if collection.backend == "s3_vectors":
            from shared.collections.s3_vectors import S3Vectors

            return S3Vectors(self._tenant, collection)
        from shared.collections.embedded import Embedded

        return Embedded(self._store, collection.name)
