"""The audit log."""

from __future__ import annotations

from typing import Any

from functions.api.schemas.base import Answer, TimeOut
from shared.audit.model import ActorKind


class ActorOut(Answer):
    """Who did something, and the user behind the key or the link, if there is one."""

    kind: ActorKind
    id: str
    user: str | None


class ResourceOut(Answer):
    """What was changed."""

    type: str
    id: str | None


class AuditEntry(Answer):
    """An entry. `hash` is the SHA-256 of all the rest as canonical JSON, with the hash of the entry before it."""

    n: int
    at: TimeOut
    actor: ActorOut
    action: str
    resource: ResourceOut
    details: dict[str, Any]
    prev_hash: str
    hash: str


class HeadOut(Answer):
    """The end of the chain. Whoever keeps it elsewhere can tell later that nothing before it was changed."""

    n: int
    hash: str


class FaultOut(Answer):
    """Where the chain is broken."""

    n: int
    what: str


class VerifiedOut(Answer):
    """What a look at a part of the chain found. `next_after` is null when that was the last part."""

    ok: bool
    checked: int
    up_to: int
    next_after: int | None
    head: HeadOut
    fault: FaultOut | None
