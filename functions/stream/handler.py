"""The table's stream: what changed in runs becomes events, kept and pushed to whoever watches."""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any

from shared.log import logger
from stepfunctions.feed import feed

_log = logger("stream")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Feed one batch; Lambda hands over again what is named in the answer, and everything after it."""
    started = perf_counter_ns()
    records = event["Records"]
    failed = feed(records)
    ms = round((perf_counter_ns() - started) / 1e6, 1)
    _log.info("batch", request_id=context.aws_request_id, records=len(records), failed=len(failed), ms=ms)
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}
