"""Virtual time: a world whose clock jumps to the next thing that happens, and in which it is drawn by lot how long
everything takes. Several calls of functions are under way at once, each in a thread of its own with an event loop of
its own; only one thread runs at any moment, the one whose turn comes next by the clock. A seed gives one order.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import threading
from _thread import allocate_lock
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from stepfunctions import calls
from stepfunctions.rehearsal.virtual import VirtualLoop
from tests.stepfunctions.engine.faults import Killed

_EPOCH = 1_900_000_000  # where the clock starts, in seconds since 1970: far from the machine's own


class World:
    """The clock, and whose turn comes when. It looks like the module `time` to those who ask it for the time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.chance = random.Random(0)
        self.main = Loop(self)
        self.busy: set[Call] = set()
        self._turns: list[tuple[float, int, Call]] = []
        self._counted = itertools.count()
        self._wakes = 0.0  # when the main loop wants its turn
        self._idle: list[_Worker] = []

    def time_ns(self) -> int:
        """As `time.time_ns`."""
        return _EPOCH * 10**9 + round(self.now * 1e9)

    def monotonic(self) -> float:
        """As `time.monotonic`."""
        return self.now

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let our code ask this clock for the time."""
        monkeypatch.setattr("shared.clock.time", self)
        monkeypatch.setattr("stepfunctions.engine.control.time", self)

    def latency(self) -> float:
        """How long the next request of anybody takes: a few milliseconds, now and then much more."""
        return self.chance.choice((0.001, 0.002, 0.003, 0.004, 0.004, 0.3)) + self.chance.random() / 1000

    def run(self, seed: int, work: Coroutine[Any, Any, Any]) -> Any:
        """Do this in the main loop, and everything that comes of it."""
        self.chance.seed(seed)
        self.now = 0.0
        try:
            return self.main.run_until_complete(work)
        except BaseException:
            # The next run begins anew; threads that are in the middle of a call stay there.
            self.busy.clear()
            self._turns.clear()
            self.main.finish()
            self.main = Loop(self)
            raise

    def start(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        """A function is called: its future, for the main loop. Who cancels it leaves the call running."""
        worker = self._idle.pop() if self._idle else _Worker(self)
        call = Call(work, worker, self.main.create_future())
        self.busy.add(call)
        self._turn(self.now + self.latency(), call)
        return call.answer

    def current(self) -> Call | None:
        """The call that is running, in whose thread this is asked; None in the main loop."""
        return getattr(threading.current_thread(), "call", None)

    # --- whose turn it is -----------------------------------------------------------------------------------------

    def _turn(self, when: float, call: Call) -> None:
        heapq.heappush(self._turns, (when, next(self._counted), call))

    def pass_time(self, loop: VirtualLoop, timeout: float | None) -> None:
        """The loop has nothing to do for so long: others have their turns."""
        if timeout is not None and timeout <= 0:
            return
        wakes = float("inf") if timeout is None else self.now + timeout
        call = self.current()
        if call is None:
            self._wakes = wakes
            while not loop.ready and self._turns and self._turns[0][0] <= wakes:
                self.now, _, turn = heapq.heappop(self._turns)
                turn.worker.go_on(turn)
            if not loop.ready:
                assert wakes < float("inf"), "nothing will ever happen any more"
                self.now = max(self.now, wakes)
            return
        assert wakes < float("inf"), "a call waits for what will never happen"
        if wakes < min(self._wakes, self._turns[0][0] if self._turns else wakes + 1) and not self.main.ready:
            self.now = wakes
            return
        self._turn(wakes, call)
        call.worker.rest()

    def close(self) -> None:
        """End the threads, and forget what was compiled on them. Calls that are under way stay where they are."""
        for worker in self._idle:
            worker.end()
        self.main.close()

    def over(self, call: Call) -> None:
        """The call has ended."""
        self.busy.discard(call)
        self._idle.append(call.worker)


class Loop(VirtualLoop):
    """An event loop of a world. What it would do in another thread takes a while."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._world = world
        self._open = 0

    def _soon(self, future: asyncio.Future[Any], func: Any, args: Any) -> None:
        self._open += 1
        self.call_later(self._world.latency(), self._work, future, func, args)

    def _work(self, future: asyncio.Future[Any], func: Any, args: Any) -> None:
        self._open -= 1
        super()._work(future, func, args)

    def finish(self) -> None:
        """Let what was begun in other threads end, and stop what still waits: the process lives on, or is gone."""
        self.stop_all()
        while self._open:
            self.run_until_complete(asyncio.sleep(0.001))
        self.close()


class Call:
    """One call of a function: `answer` is its future in the main loop, `dead` whether its process was killed."""

    def __init__(self, work: Callable[[], Any], worker: _Worker, answer: asyncio.Future[Any]) -> None:
        self.work = work
        self.worker = worker
        self.answer = answer
        self.dead = False

    def run(self, world: World) -> None:
        """Do the work in this thread; the answer is there when this returns."""
        loop = calls._thread.loop = Loop(world)
        found, failed = None, None
        try:
            found = self.work()
        except (Exception, Killed) as error:
            failed = error
        loop.finish()
        del calls._thread.loop
        world.over(self)
        if self.answer.done():
            return
        if failed is None:
            self.answer.set_result(found)
        else:
            self.answer.set_exception(failed)


class _Worker:
    """A thread for one call after another; jsonatapy's expressions live on the thread that made them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._go, self._back = allocate_lock(), allocate_lock()
        self._go.acquire()
        self._back.acquire()
        self._call: Call | None = None
        self._thread = threading.Thread(target=self._work, daemon=True, name="virtual call")
        self._thread.start()

    def go_on(self, call: Call) -> None:
        """In the main thread: let the call run until it rests or has ended."""
        self._call = call
        self._go.release()
        self._back.acquire()

    def end(self) -> None:
        """In the main thread: no more calls."""
        self._call = None
        self._go.release()
        self._thread.join()

    def rest(self) -> None:
        """In the worker's thread: let the main thread run until it is this call's turn again."""
        self._back.release()
        self._go.acquire()

    def _work(self) -> None:
        me: Any = threading.current_thread()
        while True:
            self._go.acquire()
            me.call = self._call
            if self._call is None:
                calls.close()
                return
            self._call.run(self._world)
            self._back.release()
