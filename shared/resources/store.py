"""Named things in the table: the newest state under its name, and every version beside it.

Both are written together. What is left of a removed thing's versions cannot be reached: nothing reads above a
thing's own version, and a new thing of that name writes its versions over the old ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from shared.errors import Conflict, NotFound, PreconditionFailed
from shared.resources.model import Kind, Resource, ResourceSummary, ResourceVersion
from shared.store.keys import Key
from shared.store.pages import Listing, listing_of
from shared.store.table import Attr, ConditionFailed, Item, TenantTable, Write

_FOUND: Final = "FOUND"
_LISTED: Final = ["PK", "SK", "kind", "name", "shown", "version", "created_at", "updated_at", "updated_by"]


class ResourceStore:
    """One tenant's named things."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._keys = table.keys

    def create(self, resource: Resource) -> None:
        """Write a new thing. Raises Conflict if its name is taken."""
        try:
            self._table.transact(self.creating(resource))
        except ConditionFailed:
            raise Conflict(f"the name {resource.name} is taken", code="name_taken") from None

    def creating(self, resource: Resource) -> list[Write]:
        """The writes of `create`, for a transaction that makes more than this thing."""
        return self._writes(resource, Attr("PK").not_exists())

    def get(self, kind: Kind, named: str) -> Resource:
        """A thing. Raises NotFound."""
        item = self._table.get(Key(self._keys.resources(kind), named), consistent=True)
        if item is None:
            raise _missing(kind, named)
        return _resource(item)

    def find(self, kind: Kind, named: str, version: int | None = None) -> Mapping[str, Any]:
        """A thing's document as it is now, or of that version. Raises NotFound."""
        found = self.get(kind, named)
        return found.document if version is None else self.version(found, version).document

    def page(
        self, kind: Kind, cursor: str | None, limit: int, keep: Callable[[ResourceSummary], bool] = lambda _any: True
    ) -> Listing[ResourceSummary]:
        """Things of a kind that `keep` accepts, by name."""
        pk = self._keys.resources(kind)
        return listing_of(
            self._table.tenant,
            f"resources {kind}",
            cursor,
            limit,
            lambda start, n: self._table.query(pk, start=start, limit=n, attributes=_LISTED),
            _summary,
            lambda item: keep(_summary(item)),
        )

    def following(self, kind: Kind, behind: str | None, limit: int) -> list[Resource]:
        """Things of a kind with their documents, by name: those behind a name. Fewer than `limit`: that was all."""
        found: list[Resource] = []
        while len(found) < limit:
            page = self._table.query(self._keys.resources(kind), after=behind, limit=limit - len(found))
            found += map(_resource, page.items)
            if page.last is None:
                break
            behind = found[-1].name
        return found

    def save(self, before: Resource, after: Resource) -> Resource:
        """Write the next version of a thing that is still as `before`. Raises NotFound, PreconditionFailed."""
        next_one = replace(after, version=before.version + 1, created_at=before.created_at)
        try:
            self._table.transact(self._writes(next_one, Attr("version").eq(before.version)))
        except ConditionFailed as failed:
            raise _changed(before, failed) from None
        return next_one

    def restore(self, resource: Resource, earlier: Sequence[Resource] = ()) -> None:
        """Write a thing as it is elsewhere, under its own number, over what is there; `earlier` are versions of it."""
        for each in earlier:
            key = Key(self._keys.resource(each.kind, each.name), self._keys.version_sk(each.version))
            self._table.put(key, _versioned(each))
        self._table.transact(self._writes(resource, None))

    def remove(self, resource: Resource) -> None:
        """Remove a thing that is still as given, with its versions. Raises NotFound, PreconditionFailed."""
        try:
            key = Key(self._keys.resources(resource.kind), resource.name)
            self._table.delete(key, Attr("version").eq(resource.version))
        except ConditionFailed as failed:
            raise _changed(resource, failed) from None
        left = self._table.query_all(self._keys.resource(resource.kind, resource.name), attributes=["PK", "SK"])
        self._table.delete_all([Key(i["PK"], i["SK"]) for i in left])

    def version(self, resource: Resource, number: int) -> ResourceVersion:
        """A version. Raises NotFound."""
        key = Key(self._keys.resource(resource.kind, resource.name), self._keys.version_sk(number))
        item = self._table.get(key, consistent=True) if 0 < number <= resource.version else None
        if item is None:
            raise NotFound(f"{resource.name} has no version {number}", code="no_version")
        return _version(item)

    def versions(self, resource: Resource, cursor: str | None, limit: int) -> Listing[ResourceVersion]:
        """The versions without their documents, newest first."""
        pk = self._keys.resource(resource.kind, resource.name)
        wanted = ["PK", "SK", "version", "updated_at", "updated_by"]
        return listing_of(
            self._table.tenant,
            f"versions {resource.kind} {resource.name}",
            cursor,
            limit,
            lambda start, n: self._table.query(pk, prefix="V#", start=start, limit=n, forward=False, attributes=wanted),
            _version,
            lambda item: bool(item["version"] <= resource.version),
        )

    def keep_found(self, resource: Resource, found: Mapping[str, Any]) -> None:
        """Remember what was found of a thing at its version (an MCP server's tools), over what was known."""
        key = Key(self._keys.resource(resource.kind, resource.name), _FOUND)
        self._table.put(key, {"of": _mark(resource), "found": json.dumps(found, ensure_ascii=False)})

    def found(self, resource: Resource) -> Mapping[str, Any] | None:
        """What was found of a thing; None if it has been changed since, or nobody has looked."""
        item = self._table.get(Key(self._keys.resource(resource.kind, resource.name), _FOUND), consistent=True)
        if item is None or item["of"] != _mark(resource):
            return None
        known: Mapping[str, Any] = json.loads(item["found"])
        return known

    def _writes(self, resource: Resource, condition: Any) -> list[Write]:
        values = _versioned(resource)
        item = {
            **values,
            "kind": resource.kind,
            "name": resource.name,
            "shown": json.dumps(resource.shown, ensure_ascii=False),
            "created_at": resource.created_at,
        }
        of_version = (self._keys.resource(resource.kind, resource.name), self._keys.version_sk(resource.version))
        newest = (self._keys.resources(resource.kind), resource.name)
        return [Write("Put", newest, item, condition=condition), Write("Put", of_version, values)]


def _versioned(resource: Resource) -> Item:
    values: Item = {name: getattr(resource, name) for name in ("version", "updated_at", "updated_by")}
    return {**values, "document": json.dumps(resource.document, ensure_ascii=False)}


def _mark(resource: Resource) -> str:
    return f"{resource.created_at} {resource.version}"  # a new thing of the same name begins at version 1, too


def _missing(kind: Kind, named: str) -> NotFound:
    return NotFound(f"there is no {kind.removesuffix('s').replace('_', ' ')} {named}")


def _changed(resource: Resource, failed: ConditionFailed) -> NotFound | PreconditionFailed:
    if failed.item is None:
        return _missing(resource.kind, resource.name)
    return PreconditionFailed(f"{resource.name} is at version {failed.item['version']} by now; read it again")


def _summary(item: Item) -> ResourceSummary:
    return ResourceSummary(
        kind=item["kind"],
        name=item["name"],
        shown=json.loads(item["shown"]),
        version=item["version"],
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        updated_by=item["updated_by"],
    )


def _resource(item: Item) -> Resource:
    known = _summary(item)
    fields = {name: getattr(known, name) for name in ResourceSummary.__slots__}
    return Resource(**fields, document=json.loads(item["document"]))


def _version(item: Item) -> ResourceVersion:
    document = json.loads(item["document"]) if "document" in item else {}
    return ResourceVersion(item["version"], item["updated_at"], item["updated_by"], document)
