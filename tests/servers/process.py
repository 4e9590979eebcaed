"""Real servers for tests: found or missed with a clear word, started on free loopback ports, ended by their pid."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

_FOLDERS = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"]


def program(name: str, package: str, *, folders: Sequence[str] = ()) -> str:
    """A server's program. The test fails, and says what to install, where there is none."""
    path = os.pathsep.join([*folders, os.environ.get("PATH", ""), *_FOLDERS])
    found = shutil.which(name, path=path)
    if found is None:
        pytest.fail(f"{name} is missing: install the Debian package {package} (`make servers` does so as root)")
    return found


def free_port() -> int:
    """A port of loopback that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def as_user(name: str) -> list[str]:
    """What goes before a command of a server that will not run as root."""
    if os.geteuid() != 0:
        return []
    entry = pwd.getpwnam(name)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", "--"]


@contextmanager
def folder(user: str) -> Iterator[Path]:
    """A new folder of that user, with a short path: a socket's may have 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="sw-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            shutil.chown(path, user)
        path.chmod(0o755)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def running(
    command: Sequence[str], ready: Callable[[], bool], log: Path, *, stop: int = signal.SIGTERM
) -> Iterator[int]:
    """A server's process while it is needed; gives its pid."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd="/", start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{command[0]} does not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.send_signal(stop)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def listening(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
