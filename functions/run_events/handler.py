"""Runs whose execution ended (an event of Step Functions), and the sweep every minute for what events missed."""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any

from shared.log import logger
from stepfunctions.reconcile import ended, sweep

_log = logger("run-events")


def handler(event: dict[str, Any], context: Any) -> None:
    """Deal with an event of either rule."""
    started = perf_counter_ns()
    facts: dict[str, Any]
    if event.get("detail-type") == "Step Functions Execution Status Change":
        detail = event["detail"]
        facts = {"execution": detail.get("name"), "status": detail.get("status"), "outcome": ended(detail)}
    else:
        facts = {"swept": sweep(lambda: float(context.get_remaining_time_in_millis()) / 1000)}
    ms = round((perf_counter_ns() - started) / 1e6, 1)
    _log.info("event", request_id=context.aws_request_id, **facts, ms=ms)
