"""EventBridge Scheduler: one schedule per schedule trigger, in the stack's group, calling the dispatcher."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from shared.aws.clients import client
from shared.aws.reach import reaching
from shared.errors import Unavailable
from shared.settings import settings

SCHEDULED_TIME: Final = "<aws.scheduler.scheduled-time>"  # Scheduler puts the instant here, in RFC 3339 UTC
# How long Scheduler goes on trying to reach the dispatcher. Far less than the day for which an instant is remembered.
_RETRY: Final = {"MaximumEventAgeInSeconds": 3_600, "MaximumRetryAttempts": 30}
_WHAT: Final = "the scheduling service"
_BUSY: Final = {"ServiceQuotaExceededException", "ConflictException"}


def put(
    name: str,
    *,
    expression: str,
    timezone: str,
    start_ms: int | None,
    end_ms: int | None,
    enabled: bool,
    envelope: Mapping[str, Any],
) -> None:
    """Make the schedule, or make an existing one this. `envelope` is what the dispatcher gets.

    Times are milliseconds since the epoch; Scheduler refuses a start in the past. Raises Unavailable.
    """
    arguments: dict[str, Any] = {
        "Name": name,
        "GroupName": settings().scheduler_group,
        "ScheduleExpression": expression,
        "ScheduleExpressionTimezone": timezone,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "State": "ENABLED" if enabled else "DISABLED",
        "ActionAfterCompletion": "NONE",
        "Target": {
            "Arn": settings().dispatcher_arn,
            "RoleArn": settings().scheduler_role_arn,
            "Input": json.dumps(envelope),
            "RetryPolicy": _RETRY,
        },
    }
    if settings().schedule_dead_letters_arn:
        arguments["Target"]["DeadLetterConfig"] = {"Arn": settings().schedule_dead_letters_arn}
    for field, ms in (("StartDate", start_ms), ("EndDate", end_ms)):
        if ms is not None:
            arguments[field] = datetime.fromtimestamp(ms / 1000, UTC)
    if not _done("update_schedule", "ResourceNotFoundException", **arguments):
        _done("create_schedule", "", **arguments)


def delete(name: str) -> None:
    """Remove the schedule; an absent one is no error. Raises Unavailable."""
    _done("delete_schedule", "ResourceNotFoundException", Name=name, GroupName=settings().scheduler_group)


def _done(operation: str, unless: str, **arguments: Any) -> bool:
    try:
        with reaching(_WHAT):
            getattr(client("scheduler"), operation)(**arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _BUSY:
            raise Unavailable(f"{_WHAT} is busy; try again") from error
        if code != unless:
            raise
        return False
    return True
