"""`python -m stepfunctions compile|explain|run FILE`."""

from __future__ import annotations

import os
import sys

from stepfunctions.console.command import INTERRUPTED, main

if __name__ == "__main__":
    code = main(sys.argv[1:])
    if code == INTERRUPTED:
        sys.stdout.flush()
        os._exit(code)  # at once: a thread that waits for the network would be waited for
    sys.exit(code)
