"""Something that a user, or whoever holds an API key, was told in the application."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notification:
    """Times are milliseconds since the epoch; `read_at` is None until it was read."""

    id: str
    title: str
    message: str
    execution_id: str
    created_at: int
    read_at: int | None = None
