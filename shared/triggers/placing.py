"""EventBridge Scheduler follows the records of schedules, however many calls are at one at the same time.

Scheduler takes calls without conditions, and they may overtake each other. So `placed` is emptied before each call,
and filled after it only if the record still is what was told: else it is told again, as the record is by then. Whoever
dies in between leaves it empty, and the next one tells Scheduler.
"""

from __future__ import annotations

import json
from typing import Final

from shared.aws import scheduler
from shared.clock import now_ms
from shared.errors import Unavailable
from shared.ids import digest
from shared.settings import settings
from shared.triggers import cron
from shared.triggers.model import Schedule
from shared.triggers.store import TriggerStore

_TRIES: Final = 5


def place(store: TriggerStore, schedule: Schedule) -> Schedule | None:
    """Tell Scheduler, unless it knows: telling it again would make an interval start anew. Raises Unavailable.

    Gives the schedule as Scheduler has it, which may be later than as given; None if somebody has removed it meanwhile.
    """
    if schedule.placed and schedule.placed == _mark(schedule, now_ms()):
        return schedule
    told = False
    for _ in range(_TRIES):
        found = store.unplace(schedule.id)
        if found is None:
            if not told:
                return None
            # What was told may have come after the removal, and would go on for ever.
            scheduler.delete(schedule.id)
            if not store.has_schedule(schedule.id):
                return None
            continue
        now = now_ms()
        mark = _mark(found, now)
        _tell(store, found, now) if mark else scheduler.delete(found.id)
        told = True
        noted = store.note_placed(found, mark, now)
        if noted is not None:
            return noted
    raise _given_up(store, schedule.id)


def remove(store: TriggerStore, schedule_id: str, version: int) -> None:
    """Remove a schedule that `version` has no more, unless a later version has it again. Raises Unavailable."""
    for _ in range(_TRIES):
        found = store.unplace(schedule_id)
        if found is None:
            return
        if found.version > version:
            place(store, found)  # the deletion of an earlier round may have come after what that version told
            return
        # Scheduler first: a record that is left over is found again, a schedule without one would go on for ever.
        scheduler.delete(schedule_id)
        if store.remove_schedule(schedule_id, version):
            return
    raise _given_up(store, schedule_id)


def _given_up(store: TriggerStore, schedule_id: str) -> Unavailable:
    store.unplace(schedule_id)  # others may have noted what the last call here has undone
    return Unavailable("others are changing this schedule at the same time; try again")


def _mark(schedule: Schedule, now: int) -> str:
    """What tells this apart from anything else that Scheduler may hold; empty if it is to hold nothing."""
    if schedule.disabled or cron.timing(schedule.config).next_after(now) is None:
        return ""
    return digest(json.dumps(dict(schedule.config), sort_keys=True), schedule.state, settings().dispatcher_arn)


def _tell(store: TriggerStore, schedule: Schedule, now: int) -> None:
    timing = cron.timing(schedule.config)
    scheduler.put(
        schedule.id,
        expression=timing.expression,
        timezone=timing.timezone,
        start_ms=timing.start_ms if timing.start_ms is not None and timing.start_ms > now else None,
        end_ms=timing.end_ms,
        enabled=schedule.state == "active",
        envelope={
            "tenant": store.tenant.id,
            "workflow_id": schedule.workflow_id,
            "node_id": schedule.node_id,
            "schedule_id": schedule.id,
            "scheduled_time": scheduler.SCHEDULED_TIME,
        },
    )
