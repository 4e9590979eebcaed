"""The Lambda function behind the public addresses of webhooks, `/hooks/…`."""

from __future__ import annotations

from typing import Any

from shared.aws.clients import client
from shared.settings import settings
from stepfunctions.webhooks import answer

if settings().table:
    client("dynamodb")  # every request needs it: made while the process starts, when Lambda gives the most CPU


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one request."""
    return answer(event, context.get_remaining_time_in_millis())
