"""An entry of the audit log. Times are milliseconds since the epoch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from shared.clock import iso
from shared.tenancy import Tenant

ActorKind = Literal["user", "api_key", "link", "invitation"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, and the user behind them if there is one."""

    kind: ActorKind
    id: str
    user: str | None


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry that has yet to be chained. `action` is the operation's id in the OpenAPI document; `details` hold
    names of fields and ids, never values.
    """

    at: int
    actor: Actor
    action: str
    resource_type: str
    resource_id: str | None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry in its place: `n` counts from 1, `hash` is over everything else, `prev_hash` is that of the one before.

    The first one's `prev_hash` is `genesis(tenant)`.
    """

    n: int
    at: int
    actor: Actor
    action: str
    resource_type: str
    resource_id: str | None
    details: Mapping[str, Any]
    prev_hash: str
    hash: str

    @property
    def resource(self) -> dict[str, Any]:
        """What was changed."""
        return {"type": self.resource_type, "id": self.resource_id}


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain; `n` is 0 while there is none."""

    n: int
    hash: str


def genesis(tenant: Tenant) -> str:
    """What the first entry stands on: it is another for each tenant, so that no chain passes for another's."""
    return hashlib.sha256(f"audit log of {tenant.id}".encode()).hexdigest()


def chained(draft: Draft, before: Head) -> Entry:
    """A draft in its place behind `before`."""
    body: dict[str, Any] = {
        "n": before.n + 1,
        "at": draft.at,
        "actor": draft.actor,
        "action": draft.action,
        "resource_type": draft.resource_type,
        "resource_id": draft.resource_id,
        "details": draft.details,
        "prev_hash": before.hash,
    }
    unsealed = Entry(**body, hash="")
    return Entry(**body, hash=hash_of(unsealed))


def hash_of(entry: Entry) -> str:
    """SHA-256 of the entry as the API shows it, without `hash`, as canonical JSON: keys sorted, no spaces, UTF-8."""
    shown = {
        "n": entry.n,
        "at": iso(entry.at),
        "actor": {"kind": entry.actor.kind, "id": entry.actor.id, "user": entry.actor.user},
        "action": entry.action,
        "resource": entry.resource,
        "details": entry.details,
        "prev_hash": entry.prev_hash,
    }
    canonical = json.dumps(shown, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
