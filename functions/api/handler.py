"""The Lambda function behind the HTTP API."""

from __future__ import annotations

from functools import cache
from typing import Any

from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

import functions.api.deps  # noqa: F401 - nearly every request needs it, and nouns come later: loaded at the start
from functions.api.app import app
from shared.aws.clients import client
from shared.settings import settings

if settings().table:
    client("dynamodb")  # every request needs it: made while the process starts, when Lambda gives the most CPU


@cache
def _adapter(base_path: str) -> Mangum:
    return Mangum(
        app, lifespan="off", api_gateway_base_path=base_path, text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, "+json"]
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one HTTP request. The path of a stage with a name starts with that name."""
    if event.get("routeKey", "").startswith("ANY /hooks-test/"):
        # Webhooks' test addresses start drafts, which may have to be compiled: the webhook function may not do that.
        from stepfunctions import drafts, webhooks

        return webhooks.answer(event, context.get_remaining_time_in_millis(), drafts.draft)
    stage = event["requestContext"].get("stage", "$default")
    return _adapter("/" if stage == "$default" else f"/{stage}")(event, context)
