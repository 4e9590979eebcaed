"""What a status of HTTP says about trying again."""

from __future__ import annotations

from typing import Final

# The request came too slowly, met another one, came too early, or was one of too many.
_LATER: Final = frozenset({408, 409, 425, 429})


def worth_another_try(status: int) -> bool:
    """Whether the same request may be answered otherwise later."""
    return status >= 500 or status in _LATER
