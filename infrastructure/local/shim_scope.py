"""What runs at the same time inside one execution, and how it ends early.

On AWS a failed branch or iteration ends its siblings at once, and a stopped execution enters no further state. So
whatever waits or goes on to a next state asks `check`.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

_SLICE = 0.1  # seconds between two looks at whether a wait is still wanted


class Stopped(BaseException):
    """Unwinds a thread whose work nobody wants any more. No handler of errors may take it for one."""


@dataclass
class Scope:
    """An execution, or one set of branches in it."""

    execution: dict[str, Any]
    parent: Scope | None = None
    failed: bool = False

    def over(self) -> bool:
        """Whether there is nothing left to do here."""
        return self.failed or self.execution["status"] != "RUNNING" or (self.parent is not None and self.parent.over())


current: ContextVar[Scope | None] = ContextVar("scope", default=None)


def check() -> None:
    """Go on, or raise Stopped."""
    scope = current.get()
    if scope is not None and scope.over():
        raise Stopped


def sleep(seconds: float) -> None:
    """Sleep, unless the scope ends first (Stopped)."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        check()
        time.sleep(min(left, _SLICE))


def wait(event: threading.Event, deadline: Callable[[], float]) -> bool:
    """Wait for the event until the deadline (of time.monotonic, asked anew each time); False when that has passed."""
    while not event.wait(min(_SLICE, max(0.0, deadline() - time.monotonic()))):
        check()
        if time.monotonic() >= deadline():
            return False
    return True


def together(execution: dict[str, Any], jobs: Sequence[Callable[[], Any]], limit: int) -> list[Any]:
    """The results of all jobs, at most `limit` at a time. The first failure is raised at once and ends the others."""
    scope = Scope(execution, parent=current.get())
    results: list[Any] = [None] * len(jobs)
    failures: list[BaseException] = []
    left, finished, lock = iter(range(len(jobs))), threading.Event(), threading.Lock()
    running = min(limit, len(jobs))

    def work() -> None:
        nonlocal running
        current.set(scope)
        try:
            while not scope.over():
                with lock:
                    index = next(left, None)
                if index is None:
                    break
                results[index] = jobs[index]()
        except BaseException as error:  # handed on to the thread that waits
            scope.failed = True
            failures.append(error)
            finished.set()
        with lock:
            running -= 1
            if running == 0:
                finished.set()

    for _ in range(running):
        threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True).start()
    if jobs:
        wait(finished, lambda: float("inf"))
    if failures:
        raise failures[0]
    check()
    return results
