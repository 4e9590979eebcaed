"""An event loop in virtual time: its clock jumps to the next thing that happens."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

_FINE: Final = 1e-6  # seconds: the clock's resolution


class Clock(Protocol):
    """What a virtual loop has for a clock. `now` counts seconds."""

    now: float

    def pass_time(self, loop: VirtualLoop, timeout: float | None) -> None:
        """The loop has nothing to do for so many seconds (None: until somebody else does something)."""
        ...


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop without a selector. What it would do in another thread is done in this one."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._selector = self  # BaseEventLoop asks it for events
        self._clock_resolution = _FINE

    @property
    def ready(self) -> bool:
        """Whether it has something to do now."""
        return bool(self._ready)  # type: ignore[attr-defined]

    def time(self) -> float:
        """The clock's."""
        return self._clock.now

    def select(self, timeout: float | None) -> list[Any]:
        """Let time pass. There are never any events."""
        self._clock.pass_time(self, timeout)
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """It never sleeps."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Do this a little later, in this thread."""
        del executor
        future: asyncio.Future[Any] = self.create_future()
        self._soon(future, func, args)
        return future

    def _soon(self, future: asyncio.Future[Any], func: Any, args: Any) -> None:
        self.call_soon(self._work, future, func, args)

    def _work(self, future: asyncio.Future[Any], func: Any, args: Any) -> None:
        try:
            found = func(*args)
        except BaseException as error:  # as an executor's worker does
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(found)

    def stop_all(self) -> None:
        """Stop what still waits, and let it come to its end."""
        while tasks := asyncio.all_tasks(self):
            for task in tasks:
                task.cancel()
            self.run_until_complete(_gone(tasks))


async def _gone(tasks: set[asyncio.Task[Any]]) -> None:
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at: nobody else will
