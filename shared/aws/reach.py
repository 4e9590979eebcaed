"""When AWS cannot be reached, in words of ours.

Every call of a module in `shared.aws` is made in here, so that nobody above has to think of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.parsers import ResponseParserError

from shared.errors import Unavailable

# With a status of 400 or 409, mostly; what comes with 429 or 5xx needs no name.
_TRY_AGAIN: Final = {
    "DependencyTimeoutException",  # KMS
    "IDPCommunicationError",  # STS
    "InternalError",
    "InternalErrorException",  # Cognito
    "InternalFailure",
    "InternalServerError",
    "InternalServerException",
    "KMSInternalException",
    "KeyUnavailableException",  # KMS
    "OperationAborted",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceException",  # Lambda
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
}


@contextmanager
def reaching(what: str) -> Iterator[None]:
    """Raises Unavailable for calls inside that found no answer, a fault of AWS's own, or too much to do there.

    What AWS refuses is raised as it is: whoever knows what the refusal means catches it inside.
    """
    try:
        yield
    except ParamValidationError:  # no call was made: a bug of ours, which no other try will mend
        raise
    except (BotoCoreError, ResponseParserError) as error:
        raise Unavailable(f"{what} cannot be reached; try again") from error
    except ClientError as error:
        if not passes(error):
            raise
        raise Unavailable(f"{what} cannot be reached; try again") from error


def passes(error: ClientError) -> bool:
    """Whether the same call may well be answered later."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or status == 429 or error.response["Error"]["Code"] in _TRY_AGAIN
