"""Inviting people, and accepting an invitation with a password of one's own."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from shared.aws import cognito
from shared.clock import iso, now_ms
from shared.errors import AppError, Conflict, NotFound
from shared.ids import new_id
from shared.invitations.model import Invitation
from shared.invitations.store import InvitationStore, invitation_of
from shared.links import tokens
from shared.members import service as members
from shared.members.model import Member, TenantRecord
from shared.members.store import MemberStore
from shared.notifications import mails
from shared.store.pages import Listing
from shared.store.table import ConditionFailed, TenantTable
from shared.tenancy import ROLES, Principal, Role, Tenant

NOUN: Final = "invitation-links"
_REFUSED: Final = {
    "accepted": "this invitation was accepted already",
    "revoked": "this invitation was withdrawn",
    "expired": "this invitation has expired",
}


@dataclass(frozen=True, slots=True)
class Invited:
    """A new invitation, where it leads (shown this once), and why it could not be mailed, if it could not."""

    invitation: Invitation
    url: str
    mailed: bool
    mail_error: str | None


@dataclass(frozen=True, slots=True)
class Opened:
    """An invitation by its link, and the tenant that invites."""

    tenant: Tenant
    record: TenantRecord
    invitation: Invitation


def create(
    who: Principal, email: str, role: Role, user_types: tuple[str, ...], expires_in: int, credential: str | None
) -> Invited:
    """Invite somebody; nobody gives a role above their own. With a credential (kind smtp) the link is mailed to them.

    Raises Forbidden, Invalid (unknown user types), EmailTaken.
    """
    members.check_gift(who, role, user_types)
    if members.is_taken(email):
        raise cognito.EmailTaken("this e-mail address cannot be used")
    table, now = TenantTable(who.tenant), now_ms()
    invitation_id = new_id("inv")
    token, mark = tokens.minted(who.tenant, invitation_id)
    invitation = Invitation(
        id=invitation_id,
        email=email,
        role=role,
        user_types=user_types,
        created_by=who.person or who.id,
        created_at=now,
        expires_at=now + expires_in * 1000,
        hashes=(mark,),
    )
    InvitationStore(table).add(invitation)
    url = tokens.url(NOUN, token)
    error = _mail(table, credential, invitation, url) if credential else None
    return Invited(invitation, url, credential is not None and error is None, error)


def _mail(table: TenantTable, credential: str, invitation: Invitation, url: str) -> str | None:
    """What went wrong, if it did: the invitation is there all the same, and its link can be handed over."""
    try:
        name = MemberStore(table).tenant().name
        text = (
            f"You are invited to {name}.\n\nChoose a password: {url}\n\n"
            f"The link is for you alone and works once, until {iso(invitation.expires_at)}."
        )
        mails.post(table, credential, invitation.email, f"An invitation to {name}", text, key=invitation.id)
    except AppError as error:
        return error.code
    return None


def listing(who: Principal, cursor: str | None, limit: int) -> Listing[Invitation]:
    """The tenant's invitations, newest first."""
    return InvitationStore(TenantTable(who.tenant)).page(cursor, limit)


def get(who: Principal, invitation_id: str) -> Invitation:
    """One invitation. Raises NotFound."""
    return InvitationStore(TenantTable(who.tenant)).get(invitation_id)


def revoke(who: Principal, invitation_id: str) -> Invitation:
    """Withdraw an invitation. Raises NotFound."""
    return InvitationStore(TenantTable(who.tenant)).revoke(invitation_id)


def look(token: str) -> Opened:
    """What a link invites to. Raises NotFound, Conflict (accepted, withdrawn, expired, or no more theirs to give)."""
    found = tokens.found(token, "inv", "invitations")
    if found is None:
        raise NotFound("there is no such invitation", code="unknown_invitation")
    tenant, invitation = found[0], invitation_of(found[1])
    store = MemberStore(TenantTable(tenant))
    _check(store, invitation)
    return Opened(tenant, store.tenant(), invitation)


def accept(token: str, password: str) -> tuple[Tenant, Invitation, Member]:
    """Become a user with this password. Of two at once one does. Nothing is left behind if any step fails.

    Raises as `look`, EmailTaken (the address has an account by now), WeakPassword.
    """
    opened = look(token)
    tenant, invitation = opened.tenant, opened.invitation
    table = TenantTable(tenant)
    store = MemberStore(table)
    with ExitStack() as undo:
        user = members.pool_user(invitation.email, cognito.temporary_password(), undo)
        cognito.set_password(user.subject, password)
        types = tuple(t for t in invitation.user_types if _is_there(store, t))
        member = Member(new_id("us"), invitation.email, invitation.role, user.subject, now_ms(), types)
        members.enter(tenant, member, undo)
        try:
            store.add_member(member, [InvitationStore(table).accept(invitation, member.id)])
        except ConditionFailed:
            _check(store, InvitationStore(table).get(invitation.id))
            raise Conflict(_REFUSED["accepted"], code="invitation_accepted") from None
        undo.pop_all()
    return tenant, invitation, member


def _check(store: MemberStore, invitation: Invitation) -> None:
    status = invitation.status(now_ms())
    if status != "open":
        raise Conflict(_REFUSED[status], code=f"invitation_{status}")
    try:
        inviter = store.member(invitation.created_by)
    except NotFound:
        raise Conflict(_REFUSED["revoked"], code="invitation_revoked") from None
    # Whoever was made less meanwhile gives no more than they have now.
    if ROLES.index(inviter.role) < max(ROLES.index(invitation.role), ROLES.index("admin")):
        raise Conflict(_REFUSED["revoked"], code="invitation_revoked")


def _is_there(store: MemberStore, type_id: str) -> bool:
    try:
        store.user_type(type_id)
    except NotFound:
        return False
    return True
