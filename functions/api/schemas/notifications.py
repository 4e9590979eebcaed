"""Notifications."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from functions.api.schemas.base import Answer, Body, TimeOut
from shared.notifications.model import NotificationKind


class NotificationOut(Answer):
    """What the caller was told, and by which run. `read_at` is null until they have read it."""

    id: str
    kind: NotificationKind
    title: str
    message: str
    execution_id: str
    task_id: str | None
    created_at: TimeOut
    read_at: TimeOut | None


# What a workflow says itself is not for the hearer to switch off.
Mutable = Literal["task_assigned", "task_reassigned", "task_escalated", "task_overdue"]


class MutedIn(Body):
    """The kinds of which the caller does not want to be told."""

    muted: Annotated[list[Mutable], Field(max_length=20)]


class MutedOut(Answer):
    """The kinds of which the caller is not told."""

    muted: list[NotificationKind]
