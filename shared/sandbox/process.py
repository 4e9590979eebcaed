"""Runs one request in a box: a process of its own, without an environment, that ends with its answer or its time."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final, Literal

from shared.sandbox.limits import Limits
from shared.settings import settings

Reason = Literal["timeout", "memory", "too_large", "crashed", "refused"]
_ROOT: Final = str(Path(__file__).resolve().parents[2])
_PROGRAM: Final = """import sys
sys.path[:0] = sys.argv.pop().split("\\n")
from shared.sandbox.inside import main
main()"""
_TIME_SIGNALS: Final = frozenset({-signal.SIGXCPU, -signal.SIGALRM})
_START_SECONDS: Final = 10.0  # to start Python and load an interpreter; a cold disk takes a second of it
_CHUNK: Final = 65_536


class BoxFailed(Exception):
    """There is no answer. `detail` is ours, never a tenant's."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason} {detail}".strip())
        self.reason: Reason = reason
        self.detail = detail


def run(module: str, library: str, request: bytes, limits: Limits) -> bytes:
    """What `prepare()` of that module makes of the request. `library` is a package that the module needs. Blocks.

    Raises BoxFailed.
    """
    found = find_spec(library)
    if found is None or found.origin is None:
        raise BoxFailed("refused", f"{library} is not installed")
    origin = Path(found.origin).resolve()
    home = str(origin.parents[1] if found.submodule_search_locations else origin.parent)
    libraries = {"LD_LIBRARY_PATH": settings().library_path} if settings().library_path else {}
    arguments = [sys.executable, "-I", "-S", "-c", _PROGRAM, module, repr(limits.seconds), str(limits.memory_bytes)]
    box = subprocess.Popen(  # noqa: S603 - our own program, no shell
        [*arguments, f"{_ROOT}\n{home}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=libraries,
        cwd="/",
        start_new_session=True,
    )
    try:
        answer, said = _talk(box, request, limits)
        status = box.wait(timeout=1)
    except subprocess.TimeoutExpired:
        raise BoxFailed("timeout") from None
    finally:
        _end(box)
    return _read(answer, said, status)


def _talk(box: subprocess.Popen[bytes], request: bytes, limits: Limits) -> tuple[bytes, bytes]:
    """Its whole answer, and what it wrote to standard error. Raises BoxFailed: timeout, too_large."""
    if not (box.stdin and box.stdout and box.stderr):
        raise BoxFailed("crashed", "no pipes")
    kept: dict[IO[bytes], bytearray] = {box.stdout: bytearray(), box.stderr: bytearray()}
    rest = memoryview(request)
    deadline = time.monotonic() + limits.seconds + _START_SECONDS
    with selectors.DefaultSelector() as ends:
        ends.register(box.stdin, selectors.EVENT_WRITE)
        for end in kept:
            ends.register(end, selectors.EVENT_READ)
        while ends.get_map():
            left = deadline - time.monotonic()
            ready = ends.select(left) if left > 0 else []
            if not ready:
                raise BoxFailed("timeout")
            for key, _ in ready:
                if key.fileobj is box.stdin:
                    try:
                        rest = rest[os.write(key.fd, rest[:_CHUNK]) :]
                    except BrokenPipeError:
                        rest = rest[:0]
                    if not rest:
                        ends.unregister(box.stdin)
                        box.stdin.close()
                    continue
                chunk = os.read(key.fd, _CHUNK)
                end = box.stdout if key.fileobj is box.stdout else box.stderr
                kept[end] += chunk
                if not chunk:
                    ends.unregister(end)
                if len(kept[end]) > limits.answer_bytes:
                    raise BoxFailed("too_large")
    return bytes(kept[box.stdout]), bytes(kept[box.stderr])


def _end(box: subprocess.Popen[bytes]) -> None:
    """No process of the box is left, and nothing of it is open."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(box.pid, signal.SIGKILL)
    box.wait()
    for end in (box.stdin, box.stdout, box.stderr):
        with contextlib.suppress(BrokenPipeError):
            if end:
                end.close()


def _read(answer: bytes, said: bytes, status: int) -> bytes:
    word, _, rest = answer.partition(b"\n")
    if status == 0 and word == b"done":
        return rest
    if status == 0 and word == b"refused":
        raise BoxFailed("refused", rest.decode())
    if status in _TIME_SIGNALS or status == -signal.SIGKILL:
        raise BoxFailed("timeout")
    if word == b"memory" or b"memory allocation of" in said or b"MemoryError" in said:
        raise BoxFailed("memory")
    raise BoxFailed("crashed", f"status {status}")
