"""What a tenant consists of, as values. Times are ms since the epoch; `version` counts changes, for ETags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.tenancy import Role


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """A tenant.

    `assistant` is the model for the platform's own questions, in the shape of `shared.resources.documents.Model`.
    """

    id: str
    name: str
    created_at: int
    version: int = 1
    assistant: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A user of a tenant. `subject` is the `sub` of their tokens."""

    id: str
    email: str
    role: Role
    subject: str
    created_at: int
    user_types: tuple[str, ...] = ()
    version: int = 1


@dataclass(frozen=True, slots=True)
class UserType:
    """A kind of user, such as "customer": who is offered which guided workflow."""

    id: str
    name: str
    created_at: int
    description: str = ""
    version: int = 1


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret, of which only the SHA-256 is kept.

    `scopes` None: all that the role allows. `created_by` is the user who made it, or whose key made it.
    """

    id: str
    name: str
    role: Role
    created_at: int
    created_by: str
    secret_hash: str = field(repr=False)
    scopes: tuple[str, ...] | None = None
    expires_at: int | None = None
    last_used_at: int | None = None
