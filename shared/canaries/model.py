"""A canary: another version of a workflow that gets some of its runs, until it is promoted, removed or fails too often.

Which version a start gets is kept in the workflow's own record (`shared.workflows.record`); here is what is known of
the canary, and how its runs have ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CanaryState = Literal["active", "withdrawn", "removed", "promoted", "superseded"]


@dataclass(frozen=True, slots=True)
class Canary:
    """Times are milliseconds since the epoch. `weight` is out of a hundred; `max_failure_rate` from 0 to 1, and holds
    for each window of `window_seconds` by itself. `ended_by` is None where nobody but the failure rate did it.
    `revision` counts what became of it and of those before it.
    """

    id: str
    version: int
    instead_of: int
    weight: int
    max_failure_rate: float
    min_runs: int
    window_seconds: int
    started_at: int
    started_by: str
    state: CanaryState = "active"
    ended_at: int | None = None
    ended_by: str | None = None
    reason: str | None = None
    revision: int = 1


@dataclass(frozen=True, slots=True)
class Count:
    """Runs of a canary that have ended, completed or failed, and how many of them failed."""

    runs: int
    failed: int
