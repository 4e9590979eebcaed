"""How a node has something run in the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from shared.errors import AppError, Invalid, TooLarge
from shared.nodes.base import Call, NodeError

SECONDS: Final = 60.0
ERRORS: Final = (
    "InvalidInput",
    "Timeout",
    "MemoryExceeded",
    "LimitExceeded",
    "OutputTooLarge",
    "ResultTooLarge",
    "TooLarge",
    "Unavailable",
)
_AGAIN: Final = frozenset({"Unavailable", "Timeout", "CodeFailed"})


async def boxed(call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer to a request. Raises NodeError with one of `ERRORS`, or one that the language has of its own."""
    seconds = max(0.1, min(SECONDS, call.timeout_seconds))
    try:
        answer = await asyncio.to_thread(lambda: call.world.sandbox.run({**request, "seconds": seconds}))
    except Invalid as error:
        raise NodeError("InvalidInput", error.detail, retryable=False) from None
    except TooLarge as error:
        raise NodeError("TooLarge", error.detail, retryable=False) from None
    except AppError as error:
        raise NodeError("Unavailable", error.detail) from None
    call.usage["milliseconds"] = call.usage.get("milliseconds", 0) + answer.get("milliseconds", 0)
    if "error" in answer:
        error_name, message = str(answer["error"]), str(answer.get("message", ""))
        raise NodeError(error_name, message, retryable=error_name in _AGAIN)
    return answer


def text(call: Call, port: str, default: str | None = None) -> str:
    """The text that came in at a port. Raises NodeError InvalidInput."""
    value = call.inputs.get(port, default)
    if value is None and default is not None:
        value = default
    if not isinstance(value, str):
        raise NodeError("InvalidInput", f"{port} is no text", retryable=False)
    return value
