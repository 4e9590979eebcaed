"""Notifications."""

from __future__ import annotations

from functions.api.schemas.base import Answer, TimeOut


class NotificationOut(Answer):
    """What the caller was told, and by which run. `read_at` is null until they have read it."""

    id: str
    title: str
    message: str
    execution_id: str
    created_at: TimeOut
    read_at: TimeOut | None
