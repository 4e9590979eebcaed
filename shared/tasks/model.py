"""A human task: what a run asks a person, and what they answered. Times are milliseconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

# `open` until somebody answers (`completed`), the time is over (`lapsed`) or the run is (`cancelled`).
TaskStatus = Literal["open", "completed", "lapsed", "cancelled"]

# What a client may send as a decision, and what it is called from then on. The first two are ports of the node.
DECISIONS: Final[Mapping[str, str]] = {
    "approve": "approved",
    "approved": "approved",
    "reject": "rejected",
    "rejected": "rejected",
    "submit": "submitted",
    "submitted": "submitted",
}


@dataclass(frozen=True, slots=True)
class Task:
    """A task without what may be large. `claimed_by` and `completed_by` are ids of users or API keys.

    `assignees` are user ids, e-mail addresses or user types; empty: whoever may answer tasks.
    """

    id: str
    execution_id: str
    workflow_id: str
    workflow_name: str
    node_id: str
    node_name: str
    title: str
    assignees: tuple[str, ...]
    status: TaskStatus
    created_at: int
    due_at: int
    claimed_by: str | None = None
    claimed_at: int | None = None
    decision: str | None = None
    completed_by: str | None = None
    completed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person is shown: `form` is the JSON Schema of the answer's data, `data` the node's input."""

    instructions: str
    form: dict[str, Any] | None
    data: Any

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Answer:
    """What they answered."""

    decision: str
    data: Any
    comment: str | None
    completed_by: str
    completed_at: int

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in self.__slots__}
