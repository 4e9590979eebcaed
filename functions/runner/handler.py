"""The function that state machines call to run a segment of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.aws.clients import client
from shared.clock import now_ms, parse
from shared.settings import settings
from stepfunctions.calls import segment_call
from stepfunctions.engine.boundary import answer

if settings().table:
    client("dynamodb")  # every call needs it: made while the process starts, when Lambda gives the most CPU


def _left(within: Mapping[str, Any]) -> float:
    """The seconds that an Express execution leaves its calls: so many after its start, for it does not wait longer."""
    return float((parse(within["since"]) - now_ms()) / 1000 + within["seconds"])


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`{until: […]}` for the timers behind the segment. What it raises, the state's Retry and Catch know by name."""
    owner: str = context.aws_request_id

    def remaining() -> float:
        left = float(context.get_remaining_time_in_millis()) / 1000
        return min(left, _left(event["within"])) if "within" in event else left

    return answer("runner", event, owner, lambda: segment_call(event, owner=owner, remaining=remaining))
