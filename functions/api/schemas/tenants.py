"""Tenants."""

from __future__ import annotations

from functions.api.schemas.api_keys import NewApiKey
from functions.api.schemas.base import Answer, Body, Name, TimeOut
from functions.api.schemas.users import Email, Password, UserOut
from shared.resources.documents import Model


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
    assistant: Model | None = None


class TenantPatch(Body):
    """What a tenant may change of itself. What is not given stays; `assistant: null` takes it away."""

    name: Name = ""  # not null, and kept where it is not given
    assistant: Model | None = None


class SignedUpOut(Answer):
    """A new tenant, its owner, and an API key of theirs, which is shown this once."""

    tenant: TenantOut
    user: UserOut
    api_key: NewApiKey
