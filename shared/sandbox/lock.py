"""What a process gives up before it touches anything of a tenant's.

It keeps three open ends: its request (read to the end), its answer, and nowhere for what is printed. It cannot open a
file, a socket or a process, nor take more memory, processor time or time than it was given. Most of this is done with
resource limits, which hold on every POSIX system, in a function too; on Linux a filter of system calls comes on top.
"""

from __future__ import annotations

import _socket
import os
import resource
import signal
import sys
from typing import Final

from shared.sandbox import syscalls
from shared.sandbox.limits import Limits

_PAGE: Final = resource.getpagesize()


class NotLocked(Exception):
    """Something is still open that should not be, so nothing may run here."""


def lock(limits: Limits) -> None:
    """Give everything up, and look whether it is gone. Raises NotLocked.

    What is needed later has to be imported, opened and tried before: afterwards not even a module can be loaded.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, limits.seconds)  # the end of this process, even if nobody waits for it
    try:
        _limit(resource.RLIMIT_CPU, int(limits.seconds) + 1)
        _limit(resource.RLIMIT_FSIZE, 0)
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_NPROC, 0)
        if sys.platform == "linux":
            total, private = _memory()
            _limit(resource.RLIMIT_AS, total + limits.memory_bytes)
            _limit(resource.RLIMIT_DATA, private + limits.memory_bytes)
        _fill_descriptors()
    except (OSError, ValueError) as error:
        raise NotLocked(f"a limit cannot be set: {error}") from None
    filtered = syscalls.refuse_all_but_computing()
    _look(forks=not filtered)


def _limit(which: int, value: int) -> None:
    resource.setrlimit(which, (value, value))


def _memory() -> tuple[int, int]:
    """Bytes of address space, and of private writable memory, that this process has by now."""
    with open("/proc/self/statm") as file:
        fields = file.read().split()
    return int(fields[0]) * _PAGE, int(fields[5]) * _PAGE


def _fill_descriptors() -> None:
    """Allow no further descriptor: every number below the limit is taken."""
    top = max(int(name) for name in os.listdir("/dev/fd"))
    while (last := os.dup(0)) <= top:
        pass
    _limit(resource.RLIMIT_NOFILE, last + 1)


def _look(*, forks: bool) -> None:
    for what, attempt in (("a file", lambda: os.open("/", os.O_RDONLY)), ("a socket", _socket.socket)):
        try:
            attempt()
        except OSError:
            continue
        raise NotLocked(f"{what} can still be opened")
    if forks:  # without the filter, and for root no limit on processes counts
        try:
            child = os.fork()
        except OSError:
            return
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        raise NotLocked("a process can still be started")
