"""What a human task may ask for beyond one answer: a due date, escalation, votes, who must not answer, and mails.

None of these fields has a default, so that the plans of documents that do not use them stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared import clock
from shared.errors import Problem
from shared.expressions.template import is_template
from shared.nodes._credentials import credential_field
from shared.nodes.base import Call, Escalation, NodeError

YEAR: Final = 365 * 86_400
NAMES, NAME = 100, 320  # the longest e-mail address has 320 characters
MAX_QUORUM: Final = 50
_STEPS: Final = 10
_NAME_LIST: Final[dict[str, Any]] = {
    "type": "array",
    "items": {"type": "string", "minLength": 1, "maxLength": NAME},
    "maxItems": NAMES,
    "x-template": True,
}

FIELDS: Final[dict[str, Any]] = {
    "due_seconds": {
        "type": "integer",
        "minimum": 1,
        "maximum": YEAR,
        "title": "Due after (seconds)",
        "description": "When it should be answered. It may be answered later, until the time to answer is over; "
        "the assignees are reminded once.",
    },
    "due_at": {
        "type": "string",
        "maxLength": 10_000,
        "x-template": True,
        "title": "Due at",
        "description": "The same as a moment (RFC 3339). Give one of the two.",
    },
    "escalation": {
        "type": "array",
        "maxItems": _STEPS,
        "items": {
            "type": "object",
            "properties": {
                "after_seconds": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": YEAR,
                    "title": "After (seconds)",
                    "description": "How long after the task was asked.",
                },
                "assignees": {**_NAME_LIST, "title": "Assignees", "description": "Whom it goes to then."},
                "replace": {
                    "type": "boolean",
                    "title": "Instead of the others",
                    "description": "Without it they come in addition to those who have it.",
                },
            },
            "required": ["after_seconds", "assignees"],
            "additionalProperties": False,
        },
        "title": "Escalation",
        "description": "Where the task goes while nobody answers it. Looked at every minute.",
    },
    "quorum": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_QUORUM,
        "title": "Quorum",
        "description": "So many people have to approve; each votes once. It is rejected when so many no longer can.",
    },
    "no_self_approval": {
        "type": "boolean",
        "title": "No self-approval",
        "description": "Whoever started the run cannot answer, not even as an admin.",
    },
    "notify": {
        "enum": ["in_app", "email", "none"],
        "title": "Tell the assignees",
        "description": "`in_app`, as without this field: in the application. `email`: by mail as well, with a link "
        "to answer without signing in.",
    },
    "credential": credential_field("smtp", description="The mail server for `notify`: `email`."),
}

# The same where nothing is computed: no moment, and names as they stand there.
FIXED: Final[dict[str, Any]] = {
    **{name: field for name, field in FIELDS.items() if name not in ("due_at", "escalation")},
    "escalation": {
        **FIELDS["escalation"],
        "items": {
            **FIELDS["escalation"]["items"],
            "properties": {
                **FIELDS["escalation"]["items"]["properties"],
                "assignees": {
                    "type": "array",
                    "items": {**_NAME_LIST["items"], "not": {"pattern": r"\{\{"}},
                    "maxItems": NAMES,
                    "title": "Assignees",
                    "description": "Whom it goes to then.",
                },
            },
        },
    },
}


def problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with these fields beyond their schema."""
    if "due_seconds" in config and "due_at" in config:
        yield Problem("invalid_config", "give config.due_seconds or config.due_at, not both", "config.due_at")
    due_at = config.get("due_at")
    if due_at is not None and not is_template(due_at):
        try:
            clock.parse(due_at)
        except (ValueError, OverflowError):
            yield Problem("invalid_config", "config.due_at is no RFC 3339 time", "config.due_at")
    limit = int(config.get("timeout_seconds", 7 * 86_400))
    if config.get("due_seconds", 0) > limit:
        yield Problem("invalid_config", "config.due_seconds lies after the time to answer", "config.due_seconds")
    before = 0
    for at, step in enumerate(config.get("escalation") or ()):
        path = f"config.escalation.{at}.after_seconds"
        if step["after_seconds"] <= before:
            yield Problem("invalid_config", "each step of config.escalation comes after the one before it", path)
        if step["after_seconds"] >= limit:
            yield Problem("invalid_config", "a step of config.escalation lies after the time to answer", path)
        before = step["after_seconds"]
    if config.get("notify") == "email" and not config.get("credential"):
        yield Problem("invalid_config", "mails take a credential of the kind smtp", "config.credential")
    if config.get("notify") == "email" and not config.get("assignees") and not config.get("escalation"):
        yield Problem("invalid_config", "mails take assignees to write to", "config.assignees")


def names(given: Any) -> tuple[str, ...]:
    """Assignees as a template gave them. Raises NodeError InvalidInput for what is no list of names."""
    named = [given] if isinstance(given, str) and given else given or []
    if not isinstance(named, list) or not all(isinstance(a, str) and a for a in named):
        raise NodeError("InvalidInput", "assignees must be a list of names", retryable=False)
    if len(named) > NAMES or any(len(a) > NAME for a in named):  # a template is not bound by the schema
        raise NodeError("InvalidInput", f"at most {NAMES} assignees of {NAME} characters", retryable=False)
    return tuple(dict.fromkeys(named))


def due_ms(call: Call, now_ms: int) -> int | None:
    """The due date, in milliseconds since the epoch. Raises NodeError InvalidInput."""
    if call.config.get("due_seconds") is not None:
        return now_ms + int(call.config["due_seconds"]) * 1000
    given = call.config.get("due_at")
    if given is None:
        return None
    try:
        return clock.parse(given)
    except (ValueError, OverflowError, TypeError, AttributeError):
        raise NodeError("InvalidInput", "due_at is no RFC 3339 time", retryable=False) from None


def escalation(call: Call) -> tuple[Escalation, ...]:
    """The steps. Raises NodeError InvalidInput."""
    steps = call.config.get("escalation") or ()
    return tuple(
        Escalation(int(s["after_seconds"]), names(s["assignees"]), replace=bool(s.get("replace"))) for s in steps
    )
