"""Lists."""

from __future__ import annotations

from typing import Generic, TypeVar

from functions.api.schemas.base import Answer

T = TypeVar("T")


class PageOf(Answer, Generic[T]):
    """Some of a list's things, and the cursor to the next ones (null: that was all).

    A route may return the service's `Listing` as it is: `-> PageOf[WorkflowOut]` reads its attributes.
    """

    items: list[T]
    next_cursor: str | None
