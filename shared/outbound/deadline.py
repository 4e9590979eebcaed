"""An end for what blocks: a peer that sends a little now and then keeps a socket's own time-out from passing, for ever.

Such work is done in threads, which are few, and shared by all that a process does.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Deadline:
    """The connections that it watches are shut down when the time is over; `passed` says that it is."""

    def __init__(self) -> None:
        self.passed = False
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []

    def watch(self, connection: socket.socket) -> None:
        """Have this connection ended in time, whatever TLS is put around it."""
        with self._lock:
            self._watched.append(connection.dup())  # TLS takes the socket itself away
        if self.passed:
            self.end()

    def end(self) -> None:
        """The time is over."""
        with self._lock:
            self.passed = True
            for connection in self._watched:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        """Watch nothing any more."""
        with self._lock:
            while self._watched:
                self._watched.pop().close()


@contextmanager
def deadline(seconds: float) -> Iterator[Deadline]:
    """What is connected within has so many seconds in all."""
    made = Deadline()
    timer = threading.Timer(seconds, made.end)
    timer.daemon = True
    timer.start()
    try:
        yield made
    finally:
        timer.cancel()
        made.forget()
