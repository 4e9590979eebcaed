"""Time, in whole milliseconds since the epoch inside and RFC 3339 UTC outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

_FIRST: Final = -62_135_596_800_000  # 0001-01-01T00:00:00.000Z
_LAST: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
_other: ContextVar[Callable[[], int] | None] = ContextVar("clock", default=None)


def now_ms() -> int:
    """Milliseconds since the epoch."""
    other = _other.get()
    return time.time_ns() // 1_000_000 if other is None else other()


@contextmanager
def told_by(clock: Callable[[], int]) -> Iterator[None]:
    """What is done within asks this clock for the milliseconds since the epoch: a rehearsal's waits take no time."""
    token = _other.set(clock)
    try:
        yield
    finally:
        _other.reset(token)


def iso(ms: int) -> str:
    """`2026-01-02T03:04:05.678Z`."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse(text: str) -> int:
    """Milliseconds of an RFC 3339 time. A time without an offset is taken as UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    ms = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    if not _FIRST <= ms <= _LAST:
        raise ValueError("the time lies outside the years 1 to 9999")
    return ms
