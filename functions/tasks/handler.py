"""The function that keeps task tokens: of questions, of nodes that wait for another run, and of paused runs."""

from __future__ import annotations

from typing import Any

from shared.aws.clients import client
from shared.settings import settings
from stepfunctions.calls import token_call
from stepfunctions.engine.boundary import answer

if settings().table:
    client("dynamodb")  # every call needs it: made while the process starts, when Lambda gives the most CPU


def handler(event: dict[str, Any], context: Any) -> None:
    """The state waits on until the token is used. What this raises, the state's Retry and Catch know by name."""
    owner: str = context.aws_request_id

    def remaining() -> float:
        return float(context.get_remaining_time_in_millis()) / 1000

    answer("tasks", event, owner, lambda: token_call(event, owner=owner, remaining=remaining))
