"""`python -m stepfunctions compile|explain|run FILE`."""

from __future__ import annotations

import os
import signal
import sys

from stepfunctions.console.command import main

if __name__ == "__main__":
    # Ctrl-C ends it at once: a thread that waits for the network would be waited for.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    sys.exit(main(sys.argv[1:]))
