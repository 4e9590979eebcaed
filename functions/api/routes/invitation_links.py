"""Accepting an invitation by its link. Public, and limited by address."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from functions.api.deps import acting, source_address
from functions.api.schemas.invitations import AcceptIn, OpenInvitation
from functions.api.schemas.users import UserOut
from shared import limits
from shared.audit.model import Actor
from shared.invitations import service

router = APIRouter(prefix="/invitation-links", tags=["invitation-links"])


def _limited(request: Request) -> None:
    limits.count_link(source_address(request))


Limited = Annotated[None, Depends(_limited)]


@router.get("/{invitation_token}")
def look(invitation_token: str, response: Response, _limit: Limited) -> OpenInvitation:
    """What the link invites to."""
    opened = service.look(invitation_token)
    response.headers["Cache-Control"] = "no-store"
    invitation = opened.invitation
    return OpenInvitation(
        tenant_name=opened.record.name,
        email=invitation.email,
        role=invitation.role,
        expires_at=invitation.expires_at,  # type: ignore[arg-type]  # made text by the field itself
    )


@router.post("/{invitation_token}", status_code=201)
def accept(invitation_token: str, body: AcceptIn, request: Request, response: Response, _limit: Limited) -> UserOut:
    """Become a user, with this password. It works once; then `POST /auth/token` signs in."""
    tenant, invitation, member = service.accept(invitation_token, body.password)
    acting(request, tenant, Actor("invitation", invitation.id, member.id))
    request.state.about = ("users", member.id)
    response.headers["Cache-Control"] = "no-store"
    return UserOut.model_validate(member)
