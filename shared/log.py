"""Structured logging: one JSON line per call on standard output.

A line names ids, routes, states and durations. It never holds a body, a key, a token, an e-mail address or any other
value that a tenant sent: whoever logs passes only fields they have picked.
"""

from __future__ import annotations

import logging
import sys
from functools import cache

from aws_lambda_powertools.logging import Logger


class _Stdout(logging.Handler):
    """Writes to what `sys.stdout` is at that moment, not at import."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        sys.stdout.write(self.format(record) + "\n")
        sys.stdout.flush()


@cache
def logger(service: str) -> Logger:
    """The logger of one function: `logger("api").info("request", status=200)`. Made once per process."""
    return Logger(service=service, level="INFO", location=None, logger_handler=_Stdout())
