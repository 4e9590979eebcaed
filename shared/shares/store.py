"""Shared links: the tenant's record of each, and an entry of the directory by which its token leads there."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, fields

from shared.errors import NotFound
from shared.shares.model import DAY_MS, Share
from shared.store.keys import Key, share_directory
from shared.store.pages import Listing, listing_of
from shared.store.table import Attr, Change, ConditionFailed, Directory, Item, TenantTable
from shared.tenancy import Tenant, from_directory


def mark_of(token: str) -> str:
    """The digest of a token, under which it is known."""
    return hashlib.sha256(token.encode()).hexdigest()


def found(token: str) -> tuple[Tenant, Share]:
    """Where a token leads. Raises NotFound, also for one that is revoked."""
    entry = Directory().get(share_directory(mark_of(token)))
    if entry is None:
        raise NotFound("there is no such link")
    tenant = from_directory(entry)
    share = ShareStore(TenantTable(tenant)).get(entry["workflow_id"], entry["share_id"])
    return tenant, share


class ShareStore:
    """One tenant's links."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table

    def create(self, share: Share) -> None:
        """Write a new link: the record first, so that there is no link which nobody can see and revoke."""
        ttl = (share.expires_at + DAY_MS) // 1000
        item: Item = {name: value for name, value in asdict(share).items() if value is not None}
        self._table.create(self._key(share.workflow_id, share.id), {**item, "ttl": ttl})
        entry = {"tenant_id": self._table.tenant.id, "workflow_id": share.workflow_id, "share_id": share.id}
        # A token's place is taken once: nobody else's link can come to lead elsewhere.
        Directory().update(share_directory(share.mark), Change(first={**entry, "ttl": ttl}))

    def get(self, workflow_id: str, share_id: str) -> Share:
        """A link. Raises NotFound."""
        item = self._table.get(self._key(workflow_id, share_id), consistent=True)
        if item is None:
            raise NotFound(f"there is no link {share_id}")
        return _share(item)

    def page(self, workflow_id: str, cursor: str | None, limit: int, now: int) -> Listing[Share]:
        """A workflow's links that have not expired, newest first."""
        pk = self._table.keys.shares(workflow_id)
        return listing_of(
            self._table.tenant,
            f"shares {workflow_id}",
            cursor,
            limit,
            lambda start, n: self._table.query(pk, start=start, limit=n, forward=False),
            _share,
            lambda item: bool(item["expires_at"] > now),
        )

    def every(self, workflow_id: str) -> list[Share]:
        """All of a workflow's links."""
        return [_share(item) for item in self._table.query_all(self._table.keys.shares(workflow_id))]

    def remove(self, share: Share) -> None:
        """Revoke a link: it opens nothing from here on. Raises NotFound."""
        try:
            self._table.delete(self._key(share.workflow_id, share.id), Attr("mark").eq(share.mark))
        except ConditionFailed:
            raise NotFound(f"there is no link {share.id}") from None
        place = share_directory(share.mark)
        entry = Directory().get(place)
        if entry is not None and from_directory(entry) == self._table.tenant:
            Directory().delete(place)

    def _key(self, workflow_id: str, share_id: str) -> Key:
        return Key(self._table.keys.shares(workflow_id), share_id)


def _share(item: Item) -> Share:
    values: Item = {f.name: item.get(f.name) for f in fields(Share)}
    return Share(**values)
