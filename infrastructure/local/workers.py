"""The processes in which functions run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path


def pids(scratch: Path, function_name: str | None = None) -> list[int]:
    """Process ids of the workers of a function, or of all; MiniStack unpacks their code under `scratch`."""
    mark = f"{scratch}/ministack-lambda-" + (f"{function_name}-" if function_name else "")
    return sorted(pid for pid, command in _processes() if mark in command)


def outlast(scratch: Path) -> None:
    """Wait until the workers have ended, as they do when MiniStack has; after five seconds, kill them."""
    deadline = time.monotonic() + 5
    while left := pids(scratch):
        if time.monotonic() > deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _processes() -> Iterator[tuple[int, str]]:
    """Every process with its command line."""
    proc = Path("/proc")
    if (proc / "self" / "cmdline").exists():
        for folder in proc.glob("[0-9]*"):
            try:
                yield int(folder.name), (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # it has ended
                continue
        return
    listed = subprocess.run(["ps", "-axo", "pid=,args="], capture_output=True, text=True, check=True)  # noqa: S607
    for line in listed.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        yield int(pid), command
