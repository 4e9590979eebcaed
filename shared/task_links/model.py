"""A link with which one person answers one task without an account. Times are milliseconds since the epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

LinkStatus = Literal["open", "used", "revoked", "expired"]


@dataclass(frozen=True, slots=True)
class TaskLink:
    """A link. `person` is a user's id or, for somebody without an account, `link:` and the digest of their address;
    `sent_to` is whom it was made for, as it was given.

    Of its secrets (a mail that has to be sent again has a new one) only the hashes are kept. `created_by` is who made
    it; `task` for the task's own mails, `sent` are the notices that went out with it.
    """

    id: str
    task_id: str
    person: str
    sent_to: str
    created_by: str
    created_at: int
    expires_at: int
    hashes: tuple[str, ...] = field(repr=False, default=())
    sent: tuple[str, ...] = ()
    used_at: int | None = None
    revoked_at: int | None = None

    @property
    def completed_by(self) -> str:
        """What an answer by this link is recorded with."""
        return self.person if self.person.startswith("link:") else f"link:{self.person}"

    def status(self, now_ms: int) -> LinkStatus:
        """Whether it can be used."""
        if self.used_at is not None:
            return "used"
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= now_ms else "open"
