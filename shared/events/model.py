"""What happened in a run, one thing at a time, small enough to be pushed to whoever watches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from shared.clock import iso

EventType = Literal[
    "execution_started",
    "execution_paused",
    "execution_resumed",
    "execution_completed",
    "execution_failed",
    "execution_cancelled",
    "node_started",
    "node_completed",
    "node_failed",
    "node_skipped",
    "task_created",
    "task_completed",
    "task_lapsed",
    "task_cancelled",
]
TYPES: frozenset[str] = frozenset(get_args(EventType))


@dataclass(frozen=True, slots=True)
class Event:
    """`sequence` orders the events of one run and is never given twice; `at` is ms since the epoch.

    `facts` are small and JSON: statuses, codes, durations, ids, and the title of a task. No other value of a run.
    """

    sequence: str
    type: EventType
    execution_id: str
    workflow_id: str
    at: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The event as it is stored, pushed and shown by the API; what is None is left out."""
        known = {name: value for name, value in self.facts.items() if value is not None}
        return {
            "sequence": self.sequence,
            "type": self.type,
            "execution_id": self.execution_id,
            "workflow_id": self.workflow_id,
            "at": iso(self.at),
            **known,
        }
