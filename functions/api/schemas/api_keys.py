"""API keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from functions.api.schemas.base import Answer, Body, Name, TimeIn, TimeOut
from shared.tenancy import Role

Scope = Annotated[str, StringConstraints(max_length=60, pattern=r"^(\*|[a-z][a-z_]*:(read|write|\*))$")]


class ApiKeyIn(Body):
    """A key to make. Without `scopes` it may do all that its role allows; without `expires_at` it stays valid."""

    name: Name
    role: Role
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=50)] | None = None
    expires_at: TimeIn | None = None


class ApiKeyOut(Answer):
    """A key, without its secret. `last_used_at` is exact to the hour."""

    id: str
    name: str
    role: Role
    scopes: list[str] | None
    expires_at: TimeOut | None
    created_at: TimeOut
    created_by: str
    last_used_at: TimeOut | None


class NewApiKey(ApiKeyOut):
    """A key that has just been made. `key` is shown this once."""

    key: str
