"""EventBridge Scheduler: looked at every second (MiniStack: ten), in time zones, with its context attributes filled in.

The scheduled time is the instant that the schedule names, not that of the call: the dispatcher tells by it whether a
run was started already.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from ministack.core.responses import new_uuid
from ministack.services import eventbridge, scheduler


class _Zoned(str):
    """A schedule's expression, with the zone that its hours are in."""

    zone: ZoneInfo


class _ZonedFields(tuple[Any, ...]):
    """A parsed cron expression, likewise."""

    zone: ZoneInfo


def apply() -> None:
    """Patch the ticking, the reading of expressions and the calling of targets."""
    scheduler._SCHEDULE_TICK_INTERVAL = 1
    tick, at_time = scheduler._tick_schedules, scheduler._at_time_epoch
    parse, next_fire = eventbridge._parse_cron_fields, eventbridge._cron_next_fire
    original = eventbridge._invoke_target

    def tick_in_zones() -> None:
        for schedule in list(scheduler._schedules._data.values()):
            expression = _Zoned(schedule["ScheduleExpression"])
            expression.zone = ZoneInfo(schedule.get("ScheduleExpressionTimezone") or "UTC")
            schedule["ScheduleExpression"] = expression
        tick()

    def at_zoned_time(expression: str) -> float | None:
        utc: float | None = at_time(expression)
        if utc is None or not isinstance(expression, _Zoned):
            return utc
        return datetime.fromtimestamp(utc, UTC).replace(tzinfo=expression.zone).timestamp()

    def parse_zoned(expression: str) -> Any:
        fields = parse(expression)
        if fields is None or not isinstance(expression, _Zoned):
            return fields
        zoned = _ZonedFields(fields)
        zoned.zone = expression.zone
        return zoned

    def next_zoned_fire(fields: Any, after: datetime) -> datetime | None:
        if not isinstance(fields, _ZonedFields):
            found: datetime | None = next_fire(fields, after)
            return found
        # The clock on the wall there, taken for UTC, and back.
        there = next_fire(fields, after.astimezone(fields.zone).replace(tzinfo=UTC))
        return None if there is None else there.replace(tzinfo=fields.zone).astimezone(UTC)

    def invoke_target(target: dict[str, Any], event: dict[str, Any], *more: Any) -> Any:
        if event.get("Source") == "aws.scheduler" and more and "Input" in target:
            target = {**target, "Input": filled_in(target["Input"], more[0], event["Time"])}
        return original(target, event, *more)

    scheduler._tick_schedules, scheduler._at_time_epoch = tick_in_zones, at_zoned_time
    eventbridge._parse_cron_fields, eventbridge._cron_next_fire = parse_zoned, next_zoned_fire
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
