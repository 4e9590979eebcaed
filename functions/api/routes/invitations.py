"""Inviting people to become users."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from functions.api.deps import Made, Once, Paged, require
from functions.api.schemas.invitations import InvitationIn, InvitationOut, NewInvitation
from functions.api.schemas.pages import PageOf
from shared.clock import now_ms
from shared.invitations import service
from shared.invitations.model import Invitation
from shared.tenancy import Principal

router = APIRouter(prefix="/invitations", tags=["invitations"])
Reader = Annotated[Principal, require("admin", "users:read")]
Writer = Annotated[Principal, require("admin", "users:write")]
_FIELDS = ("id", "email", "role", "user_types", "created_by", "created_at", "expires_at", "user_id")


@router.get("")
def list_all(who: Reader, page: Paged) -> PageOf[InvitationOut]:
    """The tenant's invitations, newest first."""
    found = service.listing(who, page.cursor, page.limit)
    return PageOf[InvitationOut](items=[_shown(i) for i in found.items], next_cursor=found.next_cursor)


@router.post("", status_code=201, response_model=NewInvitation)
def create(body: InvitationIn, who: Writer, once: Once) -> Response:
    """Invite somebody. The answer shows the link, this once; with a credential it is mailed to them as well."""

    def make() -> Made:
        made = service.create(who, body.email, body.role, tuple(body.user_types), body.expires_in, body.credential)
        shown = _shown(made.invitation).model_dump()
        return Made(201, NewInvitation(**shown, url=made.url, mailed=made.mailed, mail_error=made.mail_error))

    return once(who, body, make, secret=True)


@router.get("/{invitation_id}")
def get(invitation_id: str, who: Reader) -> InvitationOut:
    """One invitation."""
    return _shown(service.get(who, invitation_id))


@router.delete("/{invitation_id}", status_code=204)
def revoke(invitation_id: str, who: Writer) -> None:
    """Withdraw an invitation. One that was accepted stays so: remove the user."""
    service.revoke(who, invitation_id)


def _shown(invitation: Invitation) -> InvitationOut:
    return InvitationOut(**{f: getattr(invitation, f) for f in _FIELDS}, status=invitation.status(now_ms()))
