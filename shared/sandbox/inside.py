"""The program of a box: gets ready, reads its request, locks itself in, works, answers.

    argv: the module whose `prepare()` gives the work (bytes in, bytes out), seconds, bytes of memory
    answer: one word and a line's end, then what belongs to it: `done` and the work's bytes, `refused` and why, `memory`

Only the work's own bytes reach the answer: whatever an interpreter prints by itself goes nowhere.
"""

from __future__ import annotations

import importlib
import os
import sys

from shared.sandbox.limits import Limits
from shared.sandbox.lock import NotLocked, lock


def main() -> None:
    """Run one request."""
    _, module, seconds, memory = sys.argv
    answer = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    work = importlib.import_module(module).prepare()
    request = sys.stdin.buffer.read()
    try:
        lock(Limits(float(seconds), int(memory)))
        reply = b"done\n" + work(request)
    except NotLocked as error:
        reply = b"refused\n" + str(error).encode()
    except MemoryError:
        reply = b"memory\n"
    rest = memoryview(reply)
    while rest:
        rest = rest[os.write(answer, rest) :]
    os._exit(0)  # nothing is left to be tidied, and tidying would need what has been given up
