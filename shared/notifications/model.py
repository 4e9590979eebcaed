"""Something that a user, or whoever holds an API key, was told in the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# `message` is what a workflow's node says; the others come from human tasks.
NotificationKind = Literal["message", "task_assigned", "task_reassigned", "task_escalated", "task_overdue"]


@dataclass(frozen=True, slots=True)
class Notification:
    """Times are milliseconds since the epoch; `read_at` is None until it was read."""

    id: str
    title: str
    message: str
    execution_id: str
    created_at: int
    read_at: int | None = None
    kind: NotificationKind = "message"
    task_id: str | None = None


@dataclass(frozen=True, slots=True)
class Preferences:
    """The kinds that a user does not want to be told of; `version` counts their changes."""

    muted: tuple[NotificationKind, ...]
    version: int
