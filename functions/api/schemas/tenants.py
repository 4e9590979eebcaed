"""Tenants."""

from __future__ import annotations

from functions.api.schemas.api_keys import NewApiKey
from functions.api.schemas.base import Answer, Body, Name, TimeOut
from functions.api.schemas.users import Email, Password, UserOut


class OwnerIn(Body):
    """Who signs up."""

    email: Email
    password: Password


class SignUpIn(Body):
    """A new tenant and its owner."""

    name: Name
    owner: OwnerIn


class TenantOut(Answer):
    """A tenant."""

    id: str
    name: str
    created_at: TimeOut


class TenantPatch(Body):
    """What a tenant may change of itself."""

    name: Name


class SignedUpOut(Answer):
    """A new tenant, its owner, and an API key of theirs, which is shown this once."""

    tenant: TenantOut
    user: UserOut
    api_key: NewApiKey
