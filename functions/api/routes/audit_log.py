"""Who changed what. Nothing changes the log: it is written with the requests that it tells of."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator

from functions.api.deps import Paged, require
from functions.api.schemas.audit_log import AuditEntry, VerifiedOut
from functions.api.schemas.base import TimeIn
from functions.api.schemas.pages import PageOf
from shared.audit import service
from shared.tenancy import Principal

router = APIRouter(prefix="/audit-log", tags=["audit-log"])
Reader = Annotated[Principal, require("admin", "audit_log:read")]


def _text(value: str | None) -> str | None:
    """Half a surrogate pair cannot be looked for."""
    if value is not None:
        value.encode()
    return value


Filter = Annotated[str | None, Query(min_length=1, max_length=200), AfterValidator(_text)]
From = Annotated[TimeIn | None, Query(alias="from")]
To = Annotated[TimeIn | None, Query()]
_MAX_CHECKED = 1_000


@router.get("")
def list_all(
    who: Reader,
    page: Paged,
    actor: Filter = None,
    action: Filter = None,
    resource_type: Filter = None,
    resource_id: Filter = None,
    from_: From = None,
    to: To = None,
) -> PageOf[AuditEntry]:
    """Entries, newest first. `actor` is an id, also of the user behind a key; `from` is inclusive, `to` exclusive.

    A filter that lets little through may give a short page with a cursor to go on from.
    """
    found = service.listing(
        who,
        page.cursor,
        page.limit,
        actor_id=actor,
        action=action,
        resource_type=resource_type,
        resource_id=resource_id,
        from_ms=from_,
        to_ms=to,
    )
    return PageOf[AuditEntry].model_validate(found)


@router.get("/verify")
def verify(
    who: Reader,
    after: Annotated[int, Query(ge=0, le=10**12 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=_MAX_CHECKED)] = _MAX_CHECKED,
) -> VerifiedOut:
    """Check the chain behind entry `after`, up to `limit` entries; go on with `after=next_after`."""
    return VerifiedOut.model_validate(service.verify(who, after, limit))
