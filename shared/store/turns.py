"""Transactions that meet on one item: DynamoDB refuses all but one, and has done nothing of the others."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from shared.errors import Contended

T = TypeVar("T")
_TRIES: Final = 10
_PAUSE_S: Final = 0.02
_LONGEST: Final = 5  # of these


def patiently(work: Callable[[], T]) -> T:
    """What `work` gives, tried again while others are at the same items. Raises Contended, and what it raises."""
    for attempt in range(_TRIES - 1):
        try:
            return work()
        except Contended:
            step_aside(attempt)
    return work()


def step_aside(attempt: int) -> None:
    """Let the others go first, for up to a tenth of a second. There is nothing to wait for but luck."""
    time.sleep(_PAUSE_S * min(attempt + 1, _LONGEST) * random.random())  # noqa: S311 - only to get out of each other's way
