"""What the tenant's cache and files refuse, as failures of the node that asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from shared.errors import AppError, Invalid, TooLarge
from shared.nodes.base import NodeError

T = TypeVar("T")
ERRORS: Final = ("InvalidInput", "TooLarge", "Unavailable")


async def ask(work: Callable[[], T]) -> T:
    """What `work` gives, done off the event loop. Raises NodeError with one of `ERRORS`."""
    try:
        return await asyncio.to_thread(work)
    except Invalid as error:
        raise NodeError("InvalidInput", error.detail, retryable=False) from None
    except TooLarge as error:
        raise NodeError("TooLarge", error.detail, retryable=False) from None
    except AppError as error:
        raise NodeError("Unavailable", error.detail) from None
