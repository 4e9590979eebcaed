"""Work on what tenants wrote, with a budget of time: schemas and patterns that would keep a function busy for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_until: ContextVar[float] = ContextVar("until")


class BudgetSpent(Exception):
    """The time is over."""


@contextmanager
def budget(seconds: float) -> Iterator[None]:
    """What is done within has so many seconds."""
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


def left() -> float:
    """The seconds that are left, more than 0. Raises BudgetSpent."""
    seconds = _until.get() - time.monotonic()
    if seconds <= 0:
        raise BudgetSpent
    return seconds
