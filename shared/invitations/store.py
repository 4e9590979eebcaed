"""Invitations in the table."""

from __future__ import annotations

from typing import Final

from shared.clock import now_ms
from shared.errors import NotFound
from shared.invitations.model import Invitation
from shared.store.keys import Key
from shared.store.pages import Listing, listing_of
from shared.store.table import Attr, Change, ConditionFailed, Item, TenantTable, Write, stored

_KEPT_S: Final = 90 * 86_400  # after it has expired
_open: Final = Attr("PK").exists() & Attr("accepted_at").not_exists() & Attr("revoked_at").not_exists()


class InvitationStore:
    """One tenant's invitations."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._keys = table.keys

    def get(self, invitation_id: str) -> Invitation:
        """An invitation. Raises NotFound."""
        item = self._table.get(self._key(invitation_id), consistent=True)
        if item is None:
            raise NotFound(f"there is no invitation {invitation_id}")
        return invitation_of(item)

    def page(self, cursor: str | None, limit: int) -> Listing[Invitation]:
        """The invitations, newest first."""
        return listing_of(
            self._table.tenant,
            "invitations",
            cursor,
            limit,
            lambda start, n: self._table.query(self._keys.invitations(), forward=False, start=start, limit=n),
            invitation_of,
        )

    def add(self, invitation: Invitation) -> None:
        """Write a new invitation."""
        self._table.create(
            self._key(invitation.id), {**stored(invitation), "ttl": invitation.expires_at // 1000 + _KEPT_S}
        )

    def revoke(self, invitation_id: str) -> Invitation:
        """Nobody can accept it any more; one that was accepted stays so. Raises NotFound."""
        change = Change(set={"revoked_at": now_ms()})
        try:
            return invitation_of(self._table.update(self._key(invitation_id), change, _open))
        except ConditionFailed:
            return self.get(invitation_id)

    def accept(self, invitation: Invitation, user_id: str) -> Write:
        """The write that uses it up; as a part of a transaction it fails if somebody has already."""
        key, change = self._key(invitation.id), Change(set={"accepted_at": now_ms(), "user_id": user_id})
        return Write("Update", (key.pk, key.sk), change=change, condition=_open)

    def _key(self, invitation_id: str) -> Key:
        return Key(self._keys.invitations(), invitation_id)


def invitation_of(item: Item) -> Invitation:
    """An invitation from its item."""
    return Invitation(
        id=item["id"],
        email=item["email"],
        role=item["role"],
        user_types=tuple(item["user_types"]),
        created_by=item["created_by"],
        created_at=item["created_at"],
        expires_at=item["expires_at"],
        hashes=tuple(item["hashes"]),
        accepted_at=item.get("accepted_at"),
        revoked_at=item.get("revoked_at"),
        user_id=item.get("user_id"),
    )
