"""EventBridge Scheduler: looked at every second (MiniStack: ten), and with its context attributes filled in.

The scheduled time is the instant that the schedule names, not that of the call: the dispatcher tells by it whether a
run was started already.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import eventbridge, scheduler


def apply() -> None:
    """Patch the ticking and the calling of targets."""
    scheduler._SCHEDULE_TICK_INTERVAL = 1
    original = eventbridge._invoke_target

    def invoke_target(target: dict[str, Any], event: dict[str, Any], *more: Any) -> Any:
        if event.get("Source") == "aws.scheduler" and more and "Input" in target:
            target = {**target, "Input": filled_in(target["Input"], more[0], event["Time"])}
        return original(target, event, *more)

    eventbridge._invoke_target = invoke_target


def filled_in(text: str, schedule: dict[str, Any], fired: float) -> str:
    """A target's input with `<aws.scheduler.…>` replaced; `fired` is in seconds since the epoch."""
    instant = scheduler._at_time_epoch(schedule.get("ScheduleExpression", "")) or fired
    if schedule.get("ScheduleExpression", "").startswith("cron("):
        instant -= instant % 60
    attributes = {
        "schedule-arn": schedule.get("Arn", ""),
        "scheduled-time": datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "execution-id": new_uuid(),
        "attempt-number": "1",
    }
    for name, value in attributes.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text
