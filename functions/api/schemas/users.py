"""Users and user types."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from functions.api.schemas.base import Answer, Body, Name, Text, TimeOut
from shared.tenancy import Role

# 128 characters are what the user pool takes as a name.
Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        max_length=128,
        pattern=r"^[^@\s\x00-\x1f\x7f]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$",
    ),
]
# The user pool takes no password that begins or ends with a space.
Password = Annotated[
    str,
    StringConstraints(
        min_length=8, max_length=256, pattern=r"^[^\x00-\x1f\x7f\s]([^\x00-\x1f\x7f]*[^\x00-\x1f\x7f\s])?$"
    ),
]
UserTypeId = Annotated[str, StringConstraints(pattern=r"^ut_[0-9A-Z]{26}$")]
UserTypeIds = Annotated[list[UserTypeId], Field(max_length=20)]


class UserIn(Body):
    """A user to invite."""

    email: Email
    role: Role = "viewer"
    user_types: UserTypeIds = Field(default_factory=list)


class UserPatch(Body):
    """What may change of a user; a field that is left out stays as it is."""

    role: Role | None = None
    user_types: UserTypeIds | None = None


class UserOut(Answer):
    """A user of the tenant."""

    id: str
    email: str
    role: Role
    user_types: list[str]
    created_at: TimeOut


class InvitedUser(UserOut):
    """A new user. The temporary password is shown this once; it is replaced at the first log-in."""

    temporary_password: str


class UserTypeIn(Body):
    """A kind of user."""

    name: Name
    description: Text = ""


class UserTypePatch(Body):
    """What may change of a user type."""

    name: Name | None = None
    description: Text | None = None


class UserTypeOut(Answer):
    """A kind of user, such as "customer"."""

    id: str
    name: str
    description: str
    created_at: TimeOut


class LogIn(Body):
    """An address and its password; with `new_password` if the password is a temporary one."""

    email: Email
    password: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    new_password: Password | None = None


class Refresh(Body):
    """A refresh token from an earlier log-in."""

    refresh_token: Annotated[str, StringConstraints(max_length=4096, pattern=r"^[\x21-\x7e]+$")]


class TokensOut(Answer):
    """Tokens for `Authorization: Bearer`; `expires_in` in seconds. A refresh gives no new refresh token."""

    access_token: str
    id_token: str
    refresh_token: str | None
    expires_in: int
    token_type: str
