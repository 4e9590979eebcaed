"""What the API does with a tenant's files."""

from __future__ import annotations

from shared.aws.s3 import ObjectInfo
from shared.errors import BadRequest, Invalid
from shared.files.store import FileStore
from shared.store import pages
from shared.store.pages import Listing
from shared.store.table import TenantTable
from shared.tenancy import Principal


def files(who: Principal, start: str, cursor: str | None, limit: int) -> Listing[ObjectInfo]:
    """The files whose paths begin with `start`, by path. Raises Invalid, BadRequest, Unavailable."""
    table, listing = TenantTable(who.tenant), f"files {start}"
    after = (pages.decode(who.tenant, listing, cursor) or {}).get("SK", "")
    try:
        found, more = FileStore(table).page(start, after, limit)
    except Invalid:
        if after:  # a cursor of ours holds the path of a file, which is a good one
            raise BadRequest("cursor is malformed", code="bad_cursor") from None
        raise
    last = {"PK": table.keys.prefix, "SK": found[-1].name} if more and found else None
    return Listing(found, pages.encode(who.tenant, listing, last))
