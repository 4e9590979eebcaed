"""Invitations."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from functions.api.schemas.base import Answer, Body, TimeOut
from functions.api.schemas.credentials import CredentialName
from functions.api.schemas.users import Email, Password, UserTypeIds
from shared.invitations.model import InvitationStatus
from shared.tenancy import Role

_WEEK = 7 * 86_400


class InvitationIn(Body):
    """Whom to invite. With `credential`, one of the kind smtp, the link is mailed to them."""

    email: Email
    role: Role = "viewer"
    user_types: UserTypeIds = Field(default_factory=list)
    expires_in: Annotated[int, Field(ge=60, le=90 * 86_400, description="seconds")] = _WEEK
    credential: CredentialName | None = None


class InvitationOut(Answer):
    """An invitation, without its secret. `user_id` is who they have become."""

    id: str
    email: str
    role: Role
    user_types: list[str]
    status: InvitationStatus
    created_by: str
    created_at: TimeOut
    expires_at: TimeOut
    user_id: str | None


class NewInvitation(InvitationOut):
    """An invitation that has just been made. `url` is shown this once; `mail_error` says why it was not mailed."""

    url: str
    mailed: bool
    mail_error: str | None


class OpenInvitation(Answer):
    """What the holder of an invitation's link sees of it."""

    tenant_name: str
    email: str
    role: Role
    expires_at: TimeOut


class AcceptIn(Body):
    """The password of the new user."""

    password: Password
