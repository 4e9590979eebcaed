"""A tenant's graphs: each is a record that says which object in S3 it is now, and who may write the next one.

An object is never changed, only followed by another. Who writes has a lease with a number (a fence) that is higher than
all before it; what they wrote becomes the graph by one conditional update of the record, which fails if somebody has
had a higher number since. Until then everybody reads the last complete graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.aws.s3 import TenantObjects
from shared.clock import now_ms
from shared.errors import Conflict, TooLarge
from shared.settings import settings
from shared.store.keys import Key
from shared.store.table import Attr, Change, ConditionFailed, TenantTable

MAX_GRAPHS: Final = 100  # of a tenant
_SWEPT: Final = 20  # objects of writers that did not come to an end, looked for by one that does


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write a graph, until it is used, given back or too old.

    `version` is what it would follow (0: nothing), and `before` what that has followed.
    """

    name: str
    fence: int
    version: int
    before: int


class GraphStore:
    """One tenant's graphs. A `version` is the fence of who wrote it, and names its object."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._objects = TenantObjects(table.tenant, settings().data_bucket, "graphs")

    @property
    def tenant_id(self) -> str:
        """Whose graphs they are."""
        return self._table.tenant.id

    def version(self, name: str) -> int:
        """The version that holds now; 0: there is no such graph. Raises Unavailable."""
        item = self._table.get(self._key(name), consistent=True)
        return int(item.get("version", 0)) if item else 0

    def body(self, name: str, version: int) -> bytes | None:
        """A version's bytes; None if a later one has taken its place. Raises Unavailable."""
        return self._objects.get(_object(name, version))

    def lease(self, name: str, milliseconds: int) -> Lease:
        """The right to write, for so long. Raises Conflict `graph_busy`, TooLarge (too many graphs), Unavailable."""
        now = now_ms()
        self._room_for(name)
        free = Attr("leased_until").not_exists() | Attr("leased_until").lt(now)
        change = Change(set={"leased_until": now + milliseconds}, add={"fence": 1})
        try:
            item = self._table.update(self._key(name), change, free)
        except ConditionFailed:
            raise Conflict(f"somebody else is writing the graph {name}", code="graph_busy") from None
        return Lease(name, int(item["fence"]), int(item.get("version", 0)), int(item.get("follows", 0)))

    def commit(self, lease: Lease, body: bytes) -> None:
        """Make these bytes the graph, and give the lease back. Raises Conflict `graph_lost`, Unavailable."""
        held = Attr("fence").eq(lease.fence) & Attr("leased_until").exists()
        change = Change(set={"version": lease.fence, "follows": lease.version}, remove=["leased_until"])
        self._objects.put(_object(lease.name, lease.fence), body)
        try:
            self._table.update(self._key(lease.name), change, held)
        except ConditionFailed:
            if self.version(lease.name) != lease.fence:  # or else it was this very update, sent twice
                self._objects.delete(_object(lease.name, lease.fence))
                raise Conflict(f"writing {lease.name} took too long; nothing was written", code="graph_lost") from None
        self._sweep(lease)

    def release(self, lease: Lease) -> None:
        """Give a lease back that was not used; one that is gone is no error. Raises Unavailable."""
        try:
            held = Attr("fence").eq(lease.fence)
            self._table.update(self._key(lease.name), Change(remove=["leased_until"]), held)
        except ConditionFailed:
            return

    def _sweep(self, lease: Lease) -> None:
        """Remove what was before the version that this one followed: that one, somebody may still be reading."""
        last = range(max(1, lease.before, lease.fence - _SWEPT), lease.fence)
        for fence in {lease.before, *last} - {0, lease.version}:
            self._objects.delete(_object(lease.name, fence))

    def _room_for(self, name: str) -> None:
        if self.version(name):
            return
        # Of a name whose writers came to nothing, a record is left that is no graph.
        found = self._table.query_all(self._table.keys.graphs(), attributes=("SK", "version", "leased_until"))
        names = {i["SK"] for i in found if "version" in i or i.get("leased_until", 0) > now_ms()}
        if len(names) >= MAX_GRAPHS and name not in names:
            raise TooLarge(f"there are {MAX_GRAPHS} graphs already")

    def _key(self, name: str) -> Key:
        return Key(self._table.keys.graphs(), name)


def _object(name: str, version: int) -> str:
    return f"{name}/{version:012d}"
