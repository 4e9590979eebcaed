"""When AWS cannot be reached, in words of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import Unavailable

_TRY_AGAIN: Final = {
    "InternalError",
    "InternalServerError",
    "OperationAborted",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "ThrottlingException",
    "TooManyRequestsException",
}


@contextmanager
def reaching(what: str) -> Iterator[None]:
    """Raises Unavailable for calls inside that found no answer, a fault of AWS's own, or too much to do there."""
    try:
        yield
    except BotoCoreError:
        raise Unavailable(f"{what} cannot be reached; try again") from None
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status < 500 and error.response["Error"]["Code"] not in _TRY_AGAIN:
            raise
        raise Unavailable(f"{what} cannot be reached; try again") from error
