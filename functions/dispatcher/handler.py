"""The Lambda function that starts runs when their moment has come: a schedule is due, an event or a file has arrived,
a run has failed that has an error workflow.

EventBridge Scheduler calls it for schedules. Two rules of the platform call it: one for the stack's bus, one for the
notices of the bucket with the tenants' files.
"""

from __future__ import annotations

from typing import Any

from shared.aws.scheduler import SCHEDULED_TIME
from shared.clock import now_ms, parse
from shared.log import logger
from shared.settings import settings
from shared.tenancy import from_envelope
from stepfunctions.fire import due

_log = logger("dispatcher")
_MINUTE_MS = 60_000
_FILES = ("Object Created", "Object Deleted")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Start what is to be started. Whatever goes wrong is raised, so that the call is repeated."""
    del context
    if "detail-type" in event:
        return _arrived(event)
    tenant = from_envelope(event)
    run = due(tenant, event["schedule_id"], _instant(event["scheduled_time"]))
    started = None if run is None else run.id
    _log.info("due", tenant_id=tenant.id, schedule_id=event["schedule_id"], execution_id=started)
    return {"execution_id": started}


def _arrived(event: dict[str, Any]) -> dict[str, Any]:
    from stepfunctions import announce, arrivals, error_workflows

    kind, detail = event["detail-type"], event["detail"]
    if event["source"] == "aws.s3":
        ours = kind in _FILES and detail["bucket"]["name"] == settings().files_bucket
        started = arrivals.file_arrived(kind, detail) if ours else []
    elif kind == announce.FAILURE:
        started = error_workflows.failed(detail)
    else:
        started = arrivals.event_arrived(detail)
    _log.info("arrived", kind=kind, execution_ids=started)
    return {"execution_ids": started}


def _instant(text: str) -> int:
    """The instant in ms. A Scheduler that does not fill it in (an emulator) means this minute."""
    return now_ms() // _MINUTE_MS * _MINUTE_MS if text == SCHEDULED_TIME else parse(text)
