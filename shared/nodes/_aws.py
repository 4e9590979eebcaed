"""How nodes call a service of an AWS account: off the event loop, in threads of their own, as failures of the node."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Final

from shared.nodes.base import NodeError
from shared.nodes.world import Credential, World
from shared.outbound import aws
from shared.outbound.aws import AwsFailed

_AS_THEY_ARE: Final = frozenset(
    {
        aws.BLOCKED,
        aws.UNKNOWN_HOST,
        aws.UNREACHED,
        aws.UNREADABLE,
        aws.TIMED_OUT,
        aws.MALFORMED,
        aws.TOO_LARGE,
        aws.NOT_CONFIGURED,
    }
)
_FOR_GOOD: Final = frozenset({aws.BLOCKED, aws.MALFORMED, aws.TOO_LARGE, aws.NOT_CONFIGURED})
_BUSY: Final = ("Throttl", "TooManyRequests", "RequestLimitExceeded", "ProvisionedThroughputExceeded", "SlowDown")
_KEY: Final = ("AccessDenied", "UnrecognizedClient", "ExpiredToken", "InvalidSignature", "MissingAuthentication")
_KEY_TOO: Final = ("InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidAccessKeyId", "IncompleteSignature")


@cache
def _threads() -> ThreadPoolExecutor:
    # A model may take minutes: it must not hold the few threads that caches and credentials are read in.
    return ThreadPoolExecutor(max_workers=64, thread_name_prefix="aws")


async def ask_aws(
    world: World,
    service: str,
    credential: Credential | None,
    operation: str,
    parameters: Mapping[str, Any],
    *,
    timeout: float,
    attempts: int = 3,
) -> dict[str, Any]:
    """The answer to an operation. A call that is cancelled goes on in its thread until `timeout`. Raises AwsFailed."""

    def work() -> dict[str, Any]:
        return world.aws(service, credential, timeout=timeout, attempts=attempts).call(operation, parameters)

    return await asyncio.get_running_loop().run_in_executor(_threads(), work)


def aws_error(failed: AwsFailed) -> NodeError:
    """What failed, in a node's words: one of `_AS_THEY_ARE`, RateLimited, AuthenticationFailed or AwsError."""
    if failed.code in _AS_THEY_ARE:
        return NodeError(failed.code, failed.message, retryable=failed.code not in _FOR_GOOD)
    message = f"{failed.code}: {failed.message}"
    if failed.status == 429 or failed.code.startswith(_BUSY):
        return NodeError("RateLimited", message, retry_after=failed.retry_after)
    if failed.status in (401, 403) or failed.code.startswith(_KEY + _KEY_TOO):
        return NodeError("AuthenticationFailed", message, retryable=False)
    return NodeError("AwsError", message, retry_after=failed.retry_after, retryable=failed.status >= 500)
