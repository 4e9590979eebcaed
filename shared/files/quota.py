"""How much a tenant's files may take: reserved before each write, and counted now and then by listing them.

A record holds the last count and what was reserved since, so it says too much rather than too little: a file that is
written over counts twice, and one that is removed still counts, until the next count. That comes after an hour, or
when there seems to be no room, but then at most once a minute. Files that are on their way while it counts may be
missed until the next one. The limits are the tenant's quotas (`shared.usage`).
"""

from __future__ import annotations

from typing import Final

from shared.aws.s3 import TenantObjects
from shared.clock import now_ms
from shared.errors import TooLarge
from shared.store.table import Attr, Change, ConditionFailed, Item, TenantTable
from shared.usage.service import terms

_COUNT_EVERY_MS: Final = 3_600_000
_COUNT_AGAIN_MS: Final = 60_000
_PAGE: Final = 1_000


def reserve(table: TenantTable, objects: TenantObjects, size: int) -> None:
    """Take room for a file of so many bytes among the tenant's. Raises TooLarge `quota_exceeded`, Unavailable."""
    held = _take(table, size)
    if held is None:
        return
    if now_ms() - held.get("counted_at", 0) >= _COUNT_AGAIN_MS:
        _count(table, objects, held)
        held = _take(table, size)
    if held is not None:
        most = terms(table.tenant).quotas
        raise TooLarge(
            f"the tenant's files take at most {most.storage_bytes:,} bytes in {most.files:,} files; there are "
            f"{held.get('bytes', 0):,} bytes in {held.get('files', 0):,} already",
            code="quota_exceeded",
        )


def _take(table: TenantTable, size: int) -> Item | None:
    """None, or the record when there is no room by it or it is old."""
    most = terms(table.tenant).quotas
    room = Attr("bytes").lte(most.storage_bytes - size) & Attr("files").lt(most.files)
    fresh = Attr("counted_at").gt(now_ms() - _COUNT_EVERY_MS)
    try:
        table.update(table.keys.files_used(), Change(add={"bytes": size, "files": 1}), room & fresh)
    except ConditionFailed as failed:
        return failed.item or {}
    return None


def _count(table: TenantTable, objects: TenantObjects, held: Item) -> None:
    """Bring the record to what is there; what others reserve meanwhile stays on top of it."""
    began, total, files, last, more = now_ms(), 0, 0, "", True
    while more:
        found, more = objects.page("", last, _PAGE)
        total += sum(f.size for f in found)
        files += len(found)
        last = found[-1].name if found else ""
    same = Attr("counted_at").eq(held["counted_at"]) if "counted_at" in held else Attr("PK").not_exists()
    difference = {"bytes": total - held.get("bytes", 0), "files": files - held.get("files", 0)}
    try:
        table.update(table.keys.files_used(), Change(set={"counted_at": began}, add=difference), same)
    except ConditionFailed:
        return  # somebody else has just counted
