"""How the user pool's refusals are told. moto gives few of them by itself, so the real client gets them from a stub."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from shared.aws import cognito
from shared.aws.clients import client
from shared.errors import AppError, Invalid, RateLimited, Unavailable

CALLS: dict[str, Callable[[], Any]] = {
    "admin_create_user": lambda: cognito.create_user("a@b.example", "x"),
    "admin_set_user_password": lambda: cognito.set_password("sub", "x"),
    "admin_initiate_auth": lambda: cognito.refresh("x"),
}


@pytest.mark.parametrize(
    ("operation", "code", "expected"),
    [
        ("admin_create_user", "UsernameExistsException", cognito.EmailTaken),
        ("admin_create_user", "AliasExistsException", cognito.EmailTaken),
        ("admin_create_user", "InvalidParameterException", Invalid),
        ("admin_create_user", "InvalidPasswordException", cognito.WeakPassword),
        ("admin_set_user_password", "InvalidPasswordException", cognito.WeakPassword),
        ("admin_set_user_password", "InvalidParameterException", ClientError),
        ("admin_initiate_auth", "NotAuthorizedException", cognito.BadCredentials),
        ("admin_initiate_auth", "UserNotFoundException", cognito.BadCredentials),
        ("admin_initiate_auth", "PasswordResetRequiredException", cognito.PasswordChangeRequired),
        ("admin_initiate_auth", "TooManyFailedAttemptsException", RateLimited),
        ("admin_initiate_auth", "TooManyRequestsException", Unavailable),
        ("admin_initiate_auth", "InternalErrorException", Unavailable),
    ],
)
def test_refusals(aws, operation, code, expected):
    with Stubber(client("cognito-idp")) as stub:
        stub.add_client_error(operation, code, "sw_secret")
        with pytest.raises(expected) as refused:
            CALLS[operation]()
    assert not isinstance(refused.value, AppError) or "sw_secret" not in refused.value.detail


def test_a_second_factor_is_not_taken_for_a_log_in(aws):
    with Stubber(client("cognito-idp")) as stub:
        stub.add_response("admin_initiate_auth", {"ChallengeName": "SOFTWARE_TOKEN_MFA", "Session": "x" * 20})
        with pytest.raises(cognito.BadCredentials):
            cognito.log_in("a@b.example", "x")


def test_temporary_passwords_meet_the_policy_and_differ(aws):
    made = {cognito.temporary_password() for _ in range(5)}
    assert len(made) == 5
    for n, password in enumerate(made):
        user = cognito.create_user(f"a{n}@b.example", password)
        cognito.set_password(user.subject, password)  # the same policy, which moto checks here


def test_users_are_found_by_address_and_gone_when_deleted(aws):
    made = cognito.create_user("a@b.example", cognito.temporary_password())
    assert cognito.find_user("a@b.example") == made
    for _ in range(2):
        cognito.delete_user(made.subject)
    assert cognito.find_user("a@b.example") is None
