"""The failure of a node whose message was not taken, by the status of the answer."""

from __future__ import annotations

from typing import Final

from shared.nodes.base import NodeError

_MAX_WAIT: Final = 3_600.0


def of_status(host: str, status: int, retry_after: str | None) -> NodeError:
    """What an answer means that is no success; its body is not told of, for it may echo the message or a token."""
    said = f"{host} answered {status}"
    if status == 429:
        return NodeError("RateLimited", said, retry_after=_seconds(retry_after))
    if status in (401, 403):
        return NodeError("AuthenticationFailed", said, retryable=False)
    if status >= 500:
        return NodeError("ServerError", said, retry_after=_seconds(retry_after))
    return NodeError("Rejected", said, retryable=False)


def _seconds(text: str | None) -> float | None:
    try:
        return min(max(0.0, float(text)), _MAX_WAIT) if text else None
    except ValueError:
        return None
