"""A human task: what a run asks a person, and what they answered. Times are milliseconds since the epoch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from shared.notifications.model import NotificationKind

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
    """A task without what may be large. `claimed_by` and `completed_by` are ids of users or API keys; an answer by a
    link is `link:` with the user's id or the digest of an address.

    `assignees` are user ids, e-mail addresses or user types; empty: whoever may answer tasks. From `expires_at` on no
    answer is taken; `due_at` is when there should be one. `escalated` counts the steps of its escalation that were
    taken. With `quorum`, so many must approve. `starter` is the user who started the run and, with `no_self_approval`,
    cannot answer. `shown_sha256`: see `shown_hash`. `revision` counts the changes of what is here.
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
    expires_at: int
    due_at: int | None = None
    escalated: int = 0
    quorum: int | None = None
    approvals: int = 0
    rejections: int = 0
    no_self_approval: bool = False
    starter: str | None = None
    shown_sha256: str | None = None
    claimed_by: str | None = None
    claimed_at: int | None = None
    decision: str | None = None
    completed_by: str | None = None
    completed_at: int | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person is shown: `form` is the JSON Schema of the answer's data, `data` the node's input."""

    instructions: str
    form: dict[str, Any] | None
    data: Any

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def shown_hash(title: str, shown: Shown) -> str:
    """The SHA-256 of what a person is shown as canonical JSON: keys sorted, no spaces, UTF-8. It proves what it was."""
    canonical = json.dumps(
        {"title": title, **shown.as_dict()}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's vote on a task with a quorum. `by` is as `completed_by`; `person` is who counts; `said` is where
    comment and data lie.
    """

    by: str
    person: str
    decision: str
    at: int
    said: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What they answered. `votes`, with a quorum: `{by, decision, comment, data, at}` of each."""

    decision: str
    data: Any
    comment: str | None
    completed_by: str
    completed_at: int
    shown_sha256: str | None = None
    votes: list[dict[str, Any]] | None = None

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Step:
    """Whom a task goes to at a moment, if it is open then; `replace`: instead of those who have it."""

    at: int
    assignees: tuple[str, ...]
    replace: bool


@dataclass(frozen=True, slots=True)
class Follow:
    """What follows if nobody answers: the steps of the escalation, and how people are told."""

    steps: tuple[Step, ...] = ()
    notify: str = "in_app"
    credential: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Follow:
        """From its JSON."""
        steps = tuple(Step(s["at"], tuple(s["assignees"]), s["replace"]) for s in data["steps"])
        return cls(steps, data["notify"], data["credential"])


NOTHING: Final = Follow()


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people have yet to be told of a task. `key` names it among the task's notices."""

    kind: NotificationKind
    to: tuple[str, ...]
    key: str
