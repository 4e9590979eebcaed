"""What a status of HTTP says about trying again."""

from __future__ import annotations

from typing import Final

# The request came too slowly, met another one, came too early, or was one of too many.
_LATER: Final = frozenset({408, 409, 425, 429})
# The request came too slowly, or a gateway could not use, or did not get, the answer of what is behind it.
_OPEN: Final = frozenset({408, 502, 504})


def worth_another_try(status: int) -> bool:
    """Whether the same request may be answered otherwise later."""
    return status >= 500 or status in _LATER


def leaves_open(status: int) -> bool:
    """Whether what was asked for may have happened all the same."""
    return status in _OPEN
