"""The process that is the local AWS: MiniStack with the shim applied.

It is started by `infrastructure.local.stack`, which hands it its settings as environment variables, and it ends when
the pipe on its standard input closes: so it never outlives the one who started it, however that one ends.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

from infrastructure.local import shim


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Apply the shim and run MiniStack until SIGTERM."""
    shim.apply()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = ["ministack"]
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
