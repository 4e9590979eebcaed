"""The function that state machines call to run a segment of a plan."""

from __future__ import annotations

from typing import Any

from shared.aws.clients import client
from shared.settings import settings
from stepfunctions.calls import segment_call
from stepfunctions.engine.boundary import answer

if settings().table:
    client("dynamodb")  # every call needs it: made while the process starts, when Lambda gives the most CPU


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`{until: […]}` for the timers behind the segment. What it raises, the state's Retry and Catch know by name."""
    owner: str = context.aws_request_id

    def remaining() -> float:
        return float(context.get_remaining_time_in_millis()) / 1000

    return answer("runner", event, owner, lambda: segment_call(event, owner=owner, remaining=remaining))
