"""What can go wrong with a tenant's AWS account, in words that need no AWS library to read."""

from __future__ import annotations

from typing import Final

# The codes for calls that got no answer; every other code is AWS's own.
BLOCKED: Final = "BlockedAddress"  # the credential's endpoint is an address that tenants may not reach
UNKNOWN_HOST: Final = "DnsError"  # its name does not resolve
UNREACHED: Final = "ConnectionFailed"
UNREADABLE: Final = "InvalidResponse"  # what answers there does not speak as AWS does
TIMED_OUT: Final = "Timeout"
MALFORMED: Final = "InvalidInput"  # the parameters do not fit the operation; nothing was sent
TOO_LARGE: Final = "ResponseTooLarge"
NOT_CONFIGURED: Final = "NotConfigured"  # the operator has not turned this service on for nodes without a credential


class AwsFailed(Exception):
    """An AWS service did not do what it was asked.

    `code` is AWS's (such as ThrottlingException) or one of the above; `status` is HTTP's, 0 without an answer;
    `retry_after` is what the service asked for, in seconds. No message holds a part of the credential.
    """

    def __init__(self, code: str, message: str, *, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.retry_after = retry_after
