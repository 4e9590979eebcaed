"""Runs tenants' code: each request in a process of its own, which reaches nothing. Called by the runners."""

from __future__ import annotations

from typing import Any

from functions.sandbox.boxes import answered
from shared.log import logger

_log = logger("sandbox")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The answer to a request (`functions/sandbox/boxes.py`)."""
    answer, detail = answered(event)
    outcome = detail or answer.get("error", "done")
    ms = answer["milliseconds"]
    _log.info(
        "box", request_id=context.aws_request_id, language=str(event.get("language"))[:20], outcome=outcome, ms=ms
    )
    return answer
