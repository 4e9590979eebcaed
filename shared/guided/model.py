"""A conversation that follows a template, as values. Times are milliseconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Status = Literal["active", "completed", "cancelled", "failed"]
Phase = Literal["collecting", "confirming", "ending"]

CONVERSATION: Final = r"^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,99}$"
MAX_MESSAGES: Final = 400  # of one conversation, both sides
MAX_STATE: Final = 60_000  # bytes of the state as JSON


@dataclass(frozen=True, slots=True)
class Refused:
    """What was proposed for a field, or a step, and not taken; `reason` is for people."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A message that has no answer yet. `tries` counts the model's answers that were not taken as they were."""

    number: int
    at: int
    tries: int = 0
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """The end action: the run that does it, what starts it (`stepfunctions.published.Published`), and its input."""

    execution_id: str
    published: Mapping[str, Any]
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Instance:
    """A conversation that follows version `template_version` of a template. `version` counts its changes: the ETag.

    `user_id` is the user, or API key, whose it is. `evidence` has, for each field, what the person said
    (`{quote, message}`) or who else set it (`{by}`). `shown` is the digest of the summary that the person was shown.
    `mark` tells the request apart that has made it.
    """

    id: str
    template: str
    template_version: int
    conversation_id: str
    user_id: str
    created_at: int
    updated_at: int
    expires_at: int
    status: Status = "active"
    phase: Phase = "collecting"
    state: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    reached: tuple[str, ...] = ()
    messages: int = 0
    pending: Pending | None = None
    cancel_asked: bool = False
    shown: str | None = None
    action: Action | None = None
    attempt: int = 0
    result: Any = None
    error: Mapping[str, Any] | None = None
    reason: str | None = None
    ended_at: int | None = None
    version: int = 1
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """What a person hands over with a message. It is not what they said."""

    name: str
    content: str


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the conversation; `number` counts from 0. A user's is answered by the one after it.

    `taken` are the fields that an answer of the assistant's has set, `refused` what it proposed in vain; `error` is
    there if the model gave no answer.
    """

    number: int
    role: Literal["user", "assistant"]
    content: str
    source: str
    at: int
    documents: tuple[Document, ...] = ()
    taken: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Permission:
    """A user type may use a template."""

    user_type_id: str
    template: str
    created_at: int
    created_by: str

    @property
    def id(self) -> str:
        """As paths name it."""
        return f"{self.user_type_id}:{self.template}"
