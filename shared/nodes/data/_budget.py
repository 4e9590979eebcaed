"""What one pure node may use up at most, where an author's template, pattern or text could take without end."""

from __future__ import annotations

import time
from typing import Final

from shared.nodes.base import NodeError

SECONDS: Final = 1.0  # what one expression has, too
SIZE: Final = 10_000_000  # characters and elements


class Budget:
    """Counts down from when it is made."""

    def __init__(self, seconds: float = SECONDS, size: int = SIZE) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._size = size
        self._left = size

    def spend(self, size: int = 0) -> None:
        """Take so much. Raises NodeError ValueTooLarge when there is no more, Timeout when the time is over."""
        self._left -= size
        if self._left < 0:
            raise NodeError("ValueTooLarge", f"makes over {self._size:,} characters", retryable=False)
        if time.monotonic() > self._end:
            raise NodeError("Timeout", f"takes longer than {self._seconds:g} seconds", retryable=False)
