"""An invitation. Times are milliseconds since the epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shared.tenancy import Role

InvitationStatus = Literal["open", "accepted", "revoked", "expired"]


@dataclass(frozen=True, slots=True)
class Invitation:
    """Somebody is to become a user with this role. `created_by` is the user who invites, or whose key does; of its
    secret only the hash is kept. `user_id` is who they have become.
    """

    id: str
    email: str
    role: Role
    user_types: tuple[str, ...]
    created_by: str
    created_at: int
    expires_at: int
    hashes: tuple[str, ...] = field(repr=False, default=())
    accepted_at: int | None = None
    revoked_at: int | None = None
    user_id: str | None = None

    def status(self, now_ms: int) -> InvitationStatus:
        """Whether it can be accepted."""
        if self.accepted_at is not None:
            return "accepted"
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= now_ms else "open"
