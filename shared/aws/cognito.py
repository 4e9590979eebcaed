"""The user pool: who can sign in, and signing in. What a person may do is in the table, never in the pool.

Calls raise Unavailable, which is also how the account's own rate is told: it is all tenants' together.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from shared.aws.clients import client
from shared.aws.reach import reaching
from shared.errors import Conflict, Invalid, Problem, RateLimited, Unauthorized
from shared.settings import settings


class EmailTaken(Conflict):
    """409. It says no more than it must: whose it is stays unsaid."""

    code = "email_taken"


class WeakPassword(Invalid):
    """422: the pool's policy refuses the password."""

    code = "weak_password"


class BadCredentials(Unauthorized):
    """401: unknown address or wrong password; which of them stays unsaid."""

    code = "bad_credentials"


class PasswordChangeRequired(Conflict):
    """409: the password is a temporary one; log in with `new_password` as well."""

    code = "password_change_required"


@dataclass(frozen=True, slots=True)
class PoolUser:
    """A user of the pool. `subject` is the `sub` of their tokens; `created` in ms since the epoch."""

    subject: str
    created: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """What signing in gives. `expires_in` in seconds; a refresh gives no new refresh token."""

    access_token: str
    id_token: str
    expires_in: int
    refresh_token: str | None = None
    token_type: str = "Bearer"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in {"UsernameExistsException", "AliasExistsException"}:
            raise EmailTaken("this e-mail address cannot be used") from None
        if code == "InvalidPasswordException":
            problem = Problem("weak_password", "does not meet the password policy", "password")
            raise WeakPassword("the password does not meet the policy", errors=[problem]) from None
        if code in {"NotAuthorizedException", "UserNotFoundException", "UserNotConfirmedException"}:
            raise BadCredentials("unknown e-mail address or wrong password") from None
        if code == "PasswordResetRequiredException":
            raise PasswordChangeRequired("the password must be reset") from None
        if code in {"TooManyFailedAttemptsException", "LimitExceededException"}:
            raise RateLimited("too many attempts; try again later", retry_after=60) from None
        raise


def _call(operation: str, **arguments: Any) -> dict[str, Any]:
    with reaching("the user pool"), _translated():
        answer: dict[str, Any] = getattr(client("cognito-idp"), operation)(
            UserPoolId=settings().user_pool_id, **arguments
        )
        return answer


def _pool_user(user: dict[str, Any], attributes: str) -> PoolUser:
    subject = next(a["Value"] for a in user[attributes] if a["Name"] == "sub")
    return PoolUser(subject, int(user["UserCreateDate"].timestamp() * 1000))


def temporary_password() -> str:
    """A random password of about 130 bits that meets any policy of Cognito's."""
    return secrets.token_urlsafe(16) + "-aA1"


def create_user(email: str, password: str) -> PoolUser:
    """A user with a temporary password, to whom nothing is sent. Raises EmailTaken, WeakPassword, Invalid."""
    try:
        answer = _call(
            "admin_create_user",
            Username=email,
            TemporaryPassword=password,
            MessageAction="SUPPRESS",
            UserAttributes=[{"Name": "email", "Value": email}],
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidParameterException":
            raise
        problem = Problem("bad_email", "is no address that the user pool takes", "email")
        raise Invalid("the user pool does not take this e-mail address", errors=[problem]) from None
    return _pool_user(answer["User"], "Attributes")


def set_password(subject: str, password: str) -> None:
    """Make this the user's own password. Raises WeakPassword."""
    _call("admin_set_user_password", Username=subject, Password=password, Permanent=True)


def find_user(email: str) -> PoolUser | None:
    """The user with this address, or None."""
    try:
        return _pool_user(_call("admin_get_user", Username=email), "UserAttributes")
    except BadCredentials:
        return None


def delete_user(subject: str) -> None:
    """Remove a user; one who is not there is no error."""
    try:
        _call("admin_delete_user", Username=subject)
    except BadCredentials:
        return


def log_in(email: str, password: str, new_password: str | None = None) -> Tokens:
    """Tokens for a password. Raises BadCredentials, PasswordChangeRequired, WeakPassword, RateLimited."""
    client_id = settings().user_pool_client_id
    answer = _call(
        "admin_initiate_auth",
        ClientId=client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": email, "PASSWORD": password},
    )
    if answer.get("ChallengeName") == "NEW_PASSWORD_REQUIRED":
        if new_password is None:
            raise PasswordChangeRequired("the password is a temporary one: send new_password with it")
        answer = _call(
            "admin_respond_to_auth_challenge",
            ClientId=client_id,
            ChallengeName="NEW_PASSWORD_REQUIRED",
            ChallengeResponses={"USERNAME": email, "NEW_PASSWORD": new_password},
            Session=answer["Session"],
        )
    return _tokens(answer)


def refresh(refresh_token: str) -> Tokens:
    """New tokens for a refresh token. Raises BadCredentials."""
    answer = _call(
        "admin_initiate_auth",
        ClientId=settings().user_pool_client_id,
        AuthFlow="REFRESH_TOKEN_AUTH",
        AuthParameters={"REFRESH_TOKEN": refresh_token},
    )
    return _tokens(answer)


def _tokens(answer: dict[str, Any]) -> Tokens:
    result = answer.get("AuthenticationResult")
    if result is None:
        raise BadCredentials("this account signs in in a way that this call does not support")
    return Tokens(result["AccessToken"], result["IdToken"], int(result["ExpiresIn"]), result.get("RefreshToken"))
