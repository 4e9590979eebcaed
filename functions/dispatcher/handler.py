"""The Lambda function that EventBridge Scheduler calls when a schedule is due."""

from __future__ import annotations

from typing import Any

from shared.aws.scheduler import SCHEDULED_TIME
from shared.clock import now_ms, parse
from shared.log import logger
from shared.tenancy import from_envelope
from stepfunctions.fire import due

_log = logger("dispatcher")
_MINUTE_MS = 60_000


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Start the run of one instant. Whatever goes wrong is raised, so that the call is repeated."""
    del context
    tenant = from_envelope(event)
    run = due(tenant, event["schedule_id"], _instant(event["scheduled_time"]))
    started = None if run is None else run.id
    _log.info("due", tenant_id=tenant.id, schedule_id=event["schedule_id"], execution_id=started)
    return {"execution_id": started}


def _instant(text: str) -> int:
    """The instant in ms. A Scheduler that does not fill it in (an emulator) means this minute."""
    return now_ms() // _MINUTE_MS * _MINUTE_MS if text == SCHEDULED_TIME else parse(text)
