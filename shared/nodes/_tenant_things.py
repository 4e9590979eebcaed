"""What the tenant's cache and files refuse, as failures of the node that asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from shared.errors import AppError, Invalid, RateLimited, TooLarge
from shared.nodes.base import NodeError

T = TypeVar("T")
ERRORS: Final = ("InvalidInput", "TooLarge", "QuotaExceeded", "Unavailable")


async def ask(work: Callable[[], T]) -> T:
    """What `work` gives, done off the event loop. Raises NodeError with one of `ERRORS`."""
    try:
        return await asyncio.to_thread(work)
    except (TooLarge, RateLimited) as error:
        wait = error.retry_after if isinstance(error, RateLimited) else None
        name = "QuotaExceeded" if error.code == "quota_exceeded" else "TooLarge" if wait is None else "Unavailable"
        raise NodeError(name, error.detail, retry_after=wait, retryable=wait is not None) from None
    except Invalid as error:
        raise NodeError("InvalidInput", error.detail, retryable=False) from None
    except AppError as error:
        raise NodeError("Unavailable", error.detail) from None
