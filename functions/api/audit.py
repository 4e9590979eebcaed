"""The one place that writes the audit log: after every request that changed something, before its answer goes out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.types import Message, Scope

from shared.audit import service
from shared.audit.model import Draft
from shared.clock import now_ms

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# What starts a run is recorded as the run; what is said in a thread, tried out or marked as read changes nothing.
_LEFT_OUT: Final = frozenset(
    {
        "chat_send_message",
        "credentials_try_out",
        "events_send_event",
        "executions_execute",
        "executions_execute_node",
        "executions_replay",
        "notifications_mark_read",
        "schedules_run",
        "threads_say",
    }
)
_MOST_READ: Final = 65_536  # bytes of a body or an answer that are looked into
_FIELD: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MOST_FIELDS: Final = 30
_MOST_ID: Final = 200


def record(scope: Scope, state: Mapping[str, Any], body: bytes, answer: Sequence[Message]) -> None:
    """Write down a request that has changed something. `audit_as` in its state says whose and who."""
    acting = state.get("audit_as")
    start = answer[0]
    if acting is None or scope["method"] in _READS or start["status"] >= 400:
        return
    if str(state.get("scope", ":write")).endswith(":read"):  # a POST that only looks
        return
    if any(name.lower() == b"idempotent-replay" for name, _ in start.get("headers", ())):
        return
    route = scope.get("route")
    noun = str(next(iter(getattr(route, "tags", ())), "api"))
    action = f"{noun.replace('-', '_')}_{getattr(route, 'name', '')}"  # as functions.api.app names operations
    if action in _LEFT_OUT:
        return
    tenant, actor = acting
    given = {
        name: str(value)[:_MOST_ID]
        for name, value in scope.get("path_params", {}).items()
        if not name.endswith("token")
    }
    made = _made(answer) if start["status"] == 201 else None
    kind, thing = state.get("about") or (noun, next(iter(given.values()), made))
    details: dict[str, Any] = {"fields": _fields(body)}
    if len(given) > 1:
        details["below"] = list(given.values())[1:]
    if made is not None and made != thing:
        details["made"] = made
    service.append(tenant, Draft(now_ms(), actor, action, kind, thing, details))


def _made(answer: Sequence[Message]) -> str | None:
    """The id or name of what an answer says was made."""
    body = b"".join(m.get("body", b"") for m in answer)
    found = _parsed(body)
    name = found.get("id") or found.get("name")
    return name[:_MOST_ID] if isinstance(name, str) else None


def _fields(body: bytes) -> list[str]:
    """The names of the fields that were sent; values may be anything, secrets among them."""
    return sorted(name for name in _parsed(body) if _FIELD.fullmatch(name))[:_MOST_FIELDS]


def _parsed(body: bytes) -> dict[str, Any]:
    if not body or len(body) > _MOST_READ:
        return {}
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
