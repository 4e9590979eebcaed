"""What a call asks itself before it starts another node: has somebody said stop, and is there time?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from shared.runs.model import Run
from stepfunctions.engine.budget import Meter
from stepfunctions.engine.errors import OverBudget, Paused, Stopped, TimeSlice
from stepfunctions.plan import BoundNode

_LOOK_SECONDS: Final = 0.25  # how old the last look at the run's control flag may be
_RESERVE_SECONDS: Final = 10.0  # for what has to be written before the call ends

Halt = Paused | Stopped | TimeSlice | OverBudget


class Control:
    """`remaining` gives the seconds that the call has left; `look` reads the run; `meter` says what it may use."""

    def __init__(self, run: Run, look: Callable[[], Run], remaining: Callable[[], float], meter: Meter) -> None:
        self.meter = meter
        self._look = look
        self._remaining = remaining
        self._life = remaining()
        self._run = run
        self._looked = time.monotonic()
        self._started = 0

    async def halt(self, node: BoundNode, seconds: float = 0, *, counts: bool = True) -> Halt | None:
        """Why this node should not start, nor any other, or None; `counts`: it counts as something done then.

        `seconds` is what the node may take: one that would be cut off in the middle is left to the next call.
        """
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            before, self._run = self._run, await asyncio.to_thread(self._look)
            if (self._run.plan, self._run.attempt) != (before.plan, before.attempt):
                return Stopped("the run goes on in another execution, or under another plan")
            self._looked = time.monotonic()
            self.meter.seen(self._run)
        reason = halt_of(self._run) or self.out_of_time(seconds) or await self.meter.halt(node)
        if reason is None and counts:
            self._started += 1
        return reason

    def done_something(self) -> None:
        """Something was done that a next call finds recorded: calling again would help."""
        self._started += 1

    def out_of_time(self, seconds: float = 0) -> TimeSlice | None:
        """Set when the time left is short — unless nothing has been done yet: then calling again would not help."""
        if self._started and self._remaining() < min(_RESERVE_SECONDS + seconds, self._life / 2):
            return TimeSlice("the call's time is nearly over")
        return None


def halt_of(run: Run) -> Paused | Stopped | None:
    """What the run's own state says."""
    if run.ended or run.control == "cancel":
        return Stopped("the run has ended")
    if run.control == "pause":
        return Paused("the run is to rest")
    return None
