"""`python -m stepfunctions compile|explain|run FILE`."""

from __future__ import annotations

import sys

from stepfunctions.console.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
