"""A tenant's collections: their records in the table, and what the embedded ones hold as objects in S3.

A collection's record names the segments that make it up, and every change of that list is a conditional write: of two
writers one wins, and the other looks again. Segments are never changed, so whoever holds one holds it for good.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from shared.aws.s3 import TenantObjects
from shared.collections.model import MAX_COLLECTIONS, CollectionRecord, Model, Segment
from shared.errors import Conflict, NotFound, PreconditionFailed, TooLarge
from shared.settings import settings
from shared.store.keys import Key
from shared.store.pages import Listing, listing_of
from shared.store.table import Attr, Change, ConditionFailed, Item, TenantTable, Write, stored
from shared.store.versions import still_at

_PAGE: Final = 1_000


def collection_of(item: Item) -> CollectionRecord:
    """A record from its item."""
    values = {name: item[name] for name in CollectionRecord.__dataclass_fields__ if name in item}
    values["model"] = Model(**item["model"]) if "model" in item else None
    values["segments"] = tuple(Segment(**s) for s in item["segments"])
    return CollectionRecord(**values)


class CollectionStore:
    """One tenant's collections, by name."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._keys = table.keys
        self._objects = TenantObjects(table.tenant, settings().data_bucket, "collections")

    def add(self, collection: CollectionRecord) -> None:
        """Write a new collection. Raises Conflict (its name is taken), TooLarge (there are as many as may be)."""
        meta = self._keys.collection_count()
        room = Attr("count").not_exists() | Attr("count").lt(MAX_COLLECTIONS)
        count = Write("Update", (meta.pk, meta.sk), change=Change(add={"count": 1}), condition=room)
        new = Write("Put", self._key(collection.name), stored(collection), condition=Attr("PK").not_exists())
        try:
            self._table.transact([new, count])
        except ConditionFailed:
            if self._table.get(Key(*self._key(collection.name)), consistent=True) is not None:
                raise Conflict(f"there is a collection {collection.name}", code="name_taken") from None
            raise TooLarge(f"a tenant has at most {MAX_COLLECTIONS} collections", code="too_many") from None

    def get(self, name: str) -> CollectionRecord:
        """A collection that is in use, as of now. Raises NotFound."""
        found = self.find(name)
        if found.state != "active":
            raise NotFound(f"there is no collection {name[:70]}")
        return found

    def find(self, name: str) -> CollectionRecord:
        """A collection, also one that is being removed. Raises NotFound."""
        item = self._table.get(Key(*self._key(name)), consistent=True)
        if item is None:
            raise NotFound(f"there is no collection {name[:70]}")
        return collection_of(item)

    def page(self, cursor: str | None, limit: int) -> Listing[CollectionRecord]:
        """The collections, by name."""
        return listing_of(
            self._table.tenant,
            "collections",
            cursor,
            limit,
            lambda start, n: self._table.query(self._keys.collections(), start=start, limit=n),
            collection_of,
        )

    def describe(self, name: str, description: str, known: int | None) -> CollectionRecord:
        """Change a collection's description. Raises NotFound, PreconditionFailed."""
        return self._change(name, Change(set={"description": description}, add={"version": 1}), known)

    def begin_removal(self, name: str, known: int | None) -> CollectionRecord:
        """From here on nobody reads or writes it. Raises NotFound, PreconditionFailed."""
        return self._change(name, Change(set={"state": "removing"}, add={"version": 1}), known)

    def remove(self, collection: CollectionRecord) -> None:
        """Remove the record of a collection whose removal has begun and which holds nothing any more."""
        meta = self._keys.collection_count()
        own = Attr("id").eq(collection.id) & Attr("state").eq("removing")
        gone = Write("Delete", self._key(collection.name), condition=own)
        fewer = Write("Update", (meta.pk, meta.sk), change=Change(add={"count": -1}), condition=Attr("count").gt(0))
        try:
            self._table.transact([gone, fewer])
        except ConditionFailed:
            return  # another call has removed it meanwhile

    def commit(self, before: CollectionRecord, after: CollectionRecord) -> CollectionRecord | None:
        """What an embedded collection holds from now on: `after`'s segments, if it is as `before` still.

        None: somebody else was first. Raises NotFound where the collection is gone.
        """
        condition = Attr("revision").eq(before.revision) & Attr("id").eq(before.id) & Attr("state").eq("active")
        segments = [asdict(s) for s in after.segments]
        values = {"segments": segments, "count": after.count, "size": after.size, "revision": before.revision + 1}
        try:
            return collection_of(self._table.update(Key(*self._key(before.name)), Change(set=values), condition))
        except ConditionFailed as failed:
            if failed.item is None or failed.item["id"] != before.id or failed.item["state"] != "active":
                raise NotFound(f"there is no collection {before.name}") from None
            # The SDK may have sent it twice, and the first time was it.
            return collection_of(failed.item) if failed.item["segments"] == segments else None

    def write_segment(self, collection_id: str, segment_id: str, body: bytes) -> None:
        """Write a segment's bytes; it counts once `commit` names it."""
        self._objects.put(f"{collection_id}/{segment_id}", body)

    def read_segment(self, collection_id: str, segment_id: str) -> bytes | None:
        """A segment's bytes, or None where it was merged into another one meanwhile."""
        return self._objects.get(f"{collection_id}/{segment_id}")

    def delete_segment(self, collection_id: str, segment_id: str) -> None:
        """Remove a segment's bytes."""
        self._objects.delete(f"{collection_id}/{segment_id}")

    def delete_segments(self, collection_id: str) -> None:
        """Remove every segment that a collection has ever written, also those that no record names."""
        more = True
        while more:
            found, more = self._objects.page(f"{collection_id}/", "", _PAGE)
            for each in found:
                self._objects.delete(each.name)

    def _key(self, name: str) -> tuple[str, str]:
        return self._keys.collections(), name

    def _change(self, name: str, change: Change, known: int | None) -> CollectionRecord:
        try:
            return collection_of(self._table.update(Key(*self._key(name)), change, still_at(known)))
        except ConditionFailed as failed:
            if failed.item is None:
                raise NotFound(f"there is no collection {name[:70]}") from None
            message = f"the collection is at version {failed.item['version']} by now; read it again"
            raise PreconditionFailed(message) from None
