"""Who is asking, and for which tenant. The only module that makes a `Tenant`.

A tenant is a value that is passed on; stores are made for one and take no tenant id. It is minted from four sources
and nothing else: verified claims, an API key's record, a hook's directory entry, an envelope of our own making
(the input of an execution, the payload of a schedule, an event on our bus, a key of the table's stream or of a file).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from shared.errors import Forbidden
from shared.ids import ulid

Role = Literal["owner", "admin", "editor", "operator", "viewer"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "operator", "editor", "admin", "owner")

_TENANT_ID = re.compile(r"t[0-9A-Z]{26}")


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant's id, known to be well-formed and to come from a trusted source."""

    id: str

    def __post_init__(self) -> None:
        if not _TENANT_ID.fullmatch(self.id):
            raise ValueError("malformed tenant id")


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller: their tenant, user or key, and what they may do.

    `scopes` narrows the role (an API key's); None means everything the role allows. `made_by` is the user who made the
    key.
    """

    tenant: Tenant
    kind: Literal["user", "api_key"]
    id: str
    role: Role
    user_id: str | None = None
    user_types: tuple[str, ...] = ()
    scopes: tuple[str, ...] | None = None
    made_by: str | None = None

    @property
    def person(self) -> str | None:
        """The user who acts, also by a key that they made; None where that is not known."""
        return self.user_id or self.made_by

    def require(self, role: Role, scope: str) -> None:
        """Pass, or raise Forbidden. `scope` is `<noun>:read` or `<noun>:write`; a key may hold `<noun>:*` or `*`."""
        if ROLES.index(self.role) < ROLES.index(role):
            raise Forbidden(f"this needs the role {role}; you have {self.role}", code="role")
        if self.scopes is not None and not {scope, scope.split(":")[0] + ":*", "*"} & set(self.scopes):
            raise Forbidden(f"this API key lacks the scope {scope}", code="scope")


def new_tenant() -> Tenant:
    """A tenant that has just signed up."""
    return Tenant("t" + ulid())


def from_directory(entry: dict[str, Any]) -> Tenant:
    """From an entry of the directory (`USER#…`, `HOOK#…`, `WS#…`), which only we write."""
    return Tenant(entry["tenant_id"])


def from_api_key(key: str) -> tuple[Tenant, str, str] | None:
    """The parts of `sw_<tenant>_<key id>_<secret>`, or None if it is no such thing.

    The tenant is only *claimed* here: `members.access.by_api_key` compares the secret's hash before it goes on.
    """
    parts = key.split("_")
    if len(parts) != 4 or parts[0] != "sw" or not _TENANT_ID.fullmatch(parts[1]):
        return None
    return Tenant(parts[1]), f"key_{parts[2]}", parts[3]


def from_link(text: str, prefix: str) -> tuple[Tenant, str, str] | None:
    """The parts of a link's token `<prefix>_<tenant>_<id>_<secret>`, or None if it is no such thing.

    As in `from_api_key`, the tenant is only *claimed*: whoever opens the link compares the secret's hash first.
    """
    parts = text.split("_")
    if len(parts) != 4 or parts[0] != prefix or not _TENANT_ID.fullmatch(parts[1]):
        return None
    return Tenant(parts[1]), f"{prefix}_{parts[2]}", parts[3]


def from_envelope(envelope: dict[str, Any]) -> Tenant:
    """From the `tenant` of an envelope: what we gave StartExecution or Scheduler, which IAM lets nobody else write."""
    return Tenant(envelope["tenant"])


def from_object_key(key: str) -> tuple[Tenant, str] | None:
    """From a file's key `<tenant>/<path>`, as S3 tells of it; with the path. None if it is no such key."""
    tenant_id, _, path = key.partition("/")
    return (Tenant(tenant_id), path) if path and _TENANT_ID.fullmatch(tenant_id) else None


def from_record_key(partition_key: str) -> Tenant | None:
    """From a record's partition key `T#<tenant>#…` in the table's stream or an index; None for directory records."""
    parts = partition_key.split("#")
    return Tenant(parts[1]) if len(parts) > 2 and parts[0] == "T" else None
