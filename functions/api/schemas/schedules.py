"""Schedules."""

from __future__ import annotations

from typing import Any

from functions.api.schemas.base import Answer, Body, TimeOut
from shared.triggers.model import ScheduleState


class SchedulePatch(Body):
    """What can be changed of a schedule without publishing: whether it starts runs."""

    state: ScheduleState


class ScheduleOut(Answer):
    """A schedule. `config` is its node's; `next_runs` are the next five instants, none while it is paused.
    `last_run_at` is the latest instant for which it started a run, `last_execution_id` that run; null before the first.
    """

    id: str
    workflow_id: str
    node_id: str
    state: ScheduleState
    config: dict[str, Any]
    next_runs: list[TimeOut]
    last_run_at: TimeOut | None
    last_execution_id: str | None
    created_at: TimeOut


class StartedRun(Answer):
    """A run that was started."""

    execution_id: str
