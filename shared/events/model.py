"""What happened in a run, or to a guided conversation, one thing at a time, small enough to be pushed and sent on."""

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
GuidedType = Literal[
    "guided_started",
    "guided_completed",
    "guided_cancelled",
    "guided_failed",
    "guided_expired",
]
TYPES: frozenset[str] = frozenset(get_args(EventType))
GUIDED_TYPES: frozenset[str] = frozenset(get_args(GuidedType))


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

    @property
    def subject(self) -> str:
        """Whose events `sequence` orders."""
        return self.execution_id

    def as_dict(self) -> dict[str, Any]:
        """The event as it is stored, pushed and shown by the API; what is None is left out."""
        return {
            "sequence": self.sequence,
            "type": self.type,
            "execution_id": self.execution_id,
            "workflow_id": self.workflow_id,
            "at": iso(self.at),
            **_known(self.facts),
        }


@dataclass(frozen=True, slots=True)
class GuidedEvent:
    """What became of a guided conversation. `sequence` and `at` are as an `Event`'s.

    Whoever is told may have no permission for the template, so `facts` are ids and statuses alone: no word of the
    conversation, nothing of its state, not who has it.
    """

    sequence: str
    type: GuidedType
    instance_id: str
    at: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    workflow_id: None = None  # it is of no workflow: who subscribes to some workflows alone is not told

    @property
    def subject(self) -> str:
        """Whose events `sequence` orders."""
        return self.instance_id

    def as_dict(self) -> dict[str, Any]:
        """The event as it is sent; what is None is left out."""
        return {
            "sequence": self.sequence,
            "type": self.type,
            "instance_id": self.instance_id,
            "at": iso(self.at),
            **_known(self.facts),
        }


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}
