"""A run and the records of its nodes, as they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

RunStatus = Literal["pending", "running", "paused", "completed", "failed", "cancelled"]
NodeStatus = Literal["pending", "running", "paused", "completed", "failed", "skipped", "cancelled"]
Origin = Literal["replayed", "edited", "pinned"]
OPEN: Final[tuple[RunStatus, ...]] = ("pending", "running", "paused")
ENDED: Final[tuple[RunStatus, ...]] = ("completed", "failed", "cancelled")
SINGLE_NODE: Final = "node"  # the kind of what starts a single node's run

Stored = Mapping[str, Any]  # a value as `stepfunctions.engine.payloads` stores it: {"v": …} or {"r": …}


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a workflow. Times are milliseconds since the epoch.

    `plan` and `machine` are hashes; `attempt` counts the state machine executions it took (a retry starts another),
    `calls` the calls of functions that have begun working on it (`calls_before`: in earlier executions), `working` the
    states whose calls are at it now; `control` is what somebody asked for (`pause`, `cancel`) and the engine has not
    done yet. `parent` is the node that waits for this run, if it is a child's; `depth` counts the runs above it.
    `chain` counts the runs whose events or files led to this one, one after the other. `capped`: it has one of the
    places of its workflow (`max_concurrency`). `budget` (`{tokens?, nano?}`) is what this run may use of models, if
    that is less than its plan says; `used_tokens` and `used_nano` (billionths of a US dollar) are counted where there
    is a budget.
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
    calls_before: int = 0
    working: frozenset[str] = frozenset()
    control: Literal["pause", "cancel"] | None = None
    pause_reason: Literal["requested", "human_input"] | None = None
    started_at: int | None = None
    completed_at: int | None = None
    final_output: Stored | None = None
    error: Mapping[str, Any] | None = None
    parent: Mapping[str, Any] | None = None  # {execution_id, node_id, scope}
    depth: int = 0
    chain: int = 0
    capped: bool = False
    budget: Mapping[str, int] | None = None
    used_tokens: int = 0
    used_nano: int = 0
    canary: str | None = None  # the one that it is of (`stepfunctions.canary`)

    @property
    def ended(self) -> bool:
        """Whether it is completed, failed or cancelled."""
        return self.status in ENDED

    @property
    def execution_name(self) -> str:
        """The name of its current state machine execution."""
        return f"{self.id}-{self.attempt}"


@dataclass(frozen=True, slots=True)
class ChildLink:
    """Kept with a run: a child of it, and how the state that waits for the child goes on.

    `attempt` is the node's when it last asked; `token` is sealed, and gone once the child's end has been told. `at` is
    when it was asked (milliseconds since the epoch). `since` is the child's first attempt that the token is for: while
    the child is about to be retried, the next one, so that a late word of how it ended before is not taken for its end.
    `asked_in` is the run's own attempt in which the token was given: a later one's token is not replaced.
    """

    child: str
    attempt: int
    token: bytes | None
    at: int
    since: int = 0
    asked_in: int = 0


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
    child: str | None = None  # the run that it has started and waits for
    passes: int | None = None  # an opened container's: the number of the pass that it is in
    state: Stored | None = None  # and what a `while_loop` has come to before it
    handled: bool = True  # False: this failure ended its scope, and a retry starts here
    # Where a result comes from that this run has not made itself: another run's record, a person's edit of one, a pin.
    origin: Origin | None = None

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON, without what is empty."""
        pairs = ((name, getattr(self, name)) for name in self.__slots__)
        return {name: value for name, value in pairs if value is not None and value != {} and value != []}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NodeRecord:
        """The record from its JSON."""
        return cls(**data)
