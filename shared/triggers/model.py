"""Webhooks and schedules as they are stored. Each belongs to one node of one workflow, whatever its version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

ScheduleState = Literal["active", "paused"]


@dataclass(frozen=True, slots=True)
class Webhook:
    """A public address. What it accepts and how it answers stands in the node's config, in the version that is run.

    `id` is random enough to be a secret of its own. `secret` is encrypted; None until an authentication needs one.
    `previous` is the secret before it, good until `previous_until` (ms). `revision` counts the changes.
    """

    id: str
    workflow_id: str
    node_id: str
    created_at: int
    secret: bytes | None = None
    previous: bytes | None = None
    previous_until: int = 0
    revision: int = 1


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule trigger, and how EventBridge Scheduler was last told of it.

    `config` and `disabled` are the node's, in workflow version `version`. `state` is what people set; it survives
    new versions. `placed` is a digest of what Scheduler holds (empty: unknown, or nothing), `placed_at` the moment
    (ms) from which it counts intervals. `revision` counts people's changes. `last_run_at` is the latest instant (ms)
    for which it started a run, `last_execution_id` that run.
    """

    id: str
    workflow_id: str
    node_id: str
    state: ScheduleState
    config: Mapping[str, Any]
    disabled: bool
    version: int
    created_at: int
    placed: str = ""
    placed_at: int = 0
    revision: int = 1
    last_run_at: int | None = None
    last_execution_id: str | None = None
