"""A run and the records of its nodes, as they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

RunStatus = Literal["pending", "running", "paused", "completed", "failed", "cancelled"]
NodeStatus = Literal["pending", "running", "paused", "completed", "failed", "skipped", "cancelled"]
OPEN: Final[tuple[RunStatus, ...]] = ("pending", "running", "paused")
ENDED: Final[tuple[RunStatus, ...]] = ("completed", "failed", "cancelled")

Stored = Mapping[str, Any]  # a value as `stepfunctions.engine.payloads` stores it: {"v": …} or {"r": …}


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a workflow. Times are milliseconds since the epoch.

    `plan` and `machine` are hashes; `attempt` counts the state machine executions it took (a retry starts another),
    `calls` the calls of functions that have begun working on it, `working` the states whose calls are at it now;
    `control` is what somebody asked for (`pause`, `cancel`) and the engine has not done yet.
    """

    id: str
    workflow_id: str
    version: int
    plan: str
    machine: str
    status: RunStatus
    trigger_node: str | None
    trigger: Stored
    triggered_by: Mapping[str, Any]  # {kind, id, user}
    created_at: int
    deadline: int
    attempt: int = 0
    calls: int = 0
    working: frozenset[str] = frozenset()
    control: Literal["pause", "cancel"] | None = None
    pause_reason: Literal["requested", "human_input"] | None = None
    started_at: int | None = None
    completed_at: int | None = None
    final_output: Stored | None = None
    error: Mapping[str, Any] | None = None

    @property
    def ended(self) -> bool:
        """Whether it is completed, failed or cancelled."""
        return self.status in ENDED

    @property
    def execution_name(self) -> str:
        """The name of its current state machine execution."""
        return f"{self.id}-{self.attempt}"


@dataclass(slots=True)
class NodeRecord:
    """One node of a run, in one iteration. `scope` is `""` or a path such as `each/3` or `each/3/inner/0`.

    `inputs` holds only what was not delivered by a connection. A record of a failed node whose failure was handled
    (`continue`, `branch`) has outputs as well.
    """

    node: str
    scope: str
    status: NodeStatus
    started_at: int | None = None
    completed_at: int | None = None
    attempts: int = 0
    inputs: dict[str, Stored] = field(default_factory=dict)
    outputs: dict[str, Stored] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    logs: list[dict[str, Any]] = field(default_factory=list)
    until: int | None = None  # a timer's moment, or the next attempt's
    tries_left: int | None = None  # of its retry policy, while the node rests between two attempts
    task: str | None = None  # a question's task
    handled: bool = True  # False: this failure ended its scope, and a retry starts here

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON, without what is empty."""
        pairs = ((name, getattr(self, name)) for name in self.__slots__)
        return {name: value for name, value in pairs if value is not None and value != {} and value != []}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NodeRecord:
        """The record from its JSON."""
        return cls(**data)
