"""What workflows have told the caller in the application. Each user, and each API key, sees their own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from functions.api.deps import IfMatch, Paged, etag_of, require
from functions.api.schemas.notifications import MutedIn, MutedOut, NotificationOut
from functions.api.schemas.pages import PageOf
from shared.notifications import service
from shared.notifications.model import Preferences
from shared.tenancy import Principal

router = APIRouter(prefix="/notifications", tags=["notifications"])
Reader = Annotated[Principal, require("viewer", "notifications:read")]
Owner = Annotated[Principal, require("viewer", "notifications:write")]
Unread = Annotated[bool, Query(description="only what was not read yet")]


@router.get("")
def list_mine(who: Reader, page: Paged, unread: Unread = False) -> PageOf[NotificationOut]:
    """What the caller was told, newest first."""
    return PageOf[NotificationOut].model_validate(service.listing(who, page.cursor, page.limit, unread=unread))


@router.get("/preferences")
def get_preferences(who: Reader, response: Response) -> MutedOut:
    """What the caller does not want to be told of."""
    return _answer(service.preferences(who), response)


@router.put("/preferences")
def put_preferences(body: MutedIn, who: Owner, known: IfMatch, response: Response) -> MutedOut:
    """Do not tell the caller of these kinds any more, and of the others again."""
    return _answer(service.mute(who, body.muted, known), response)


@router.post("/{notification_id}/read")
def mark_read(notification_id: str, who: Owner) -> NotificationOut:
    """The caller has read it. Saying so again changes nothing."""
    return NotificationOut.model_validate(service.read(who, notification_id))


def _answer(preferences: Preferences, response: Response) -> MutedOut:
    response.headers["ETag"] = etag_of(preferences.version)
    return MutedOut(muted=list(preferences.muted))
