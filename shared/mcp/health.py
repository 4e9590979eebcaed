"""What is remembered of an MCP server from one look at it to the next: health, and how its tools have changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_LISTS: Final = ("server", "tools", "resources", "prompts")

Json = dict[str, Any]


def remembered(before: Mapping[str, Any] | None, seen: Mapping[str, Any]) -> Json:
    """What to keep of a look (`shared.mcp.refresh.look`), after what was kept of the one before.

    A server that does not answer keeps what it had when it last did. `last_ok_at`, `last_error` (`{at, error,
    message}`) and `failures` (in a row) are its health; `changes` is `{added, removed, changed}`, names of tools since
    the last answer, null where there was none.
    """
    known: Mapping[str, Any] = before or {}
    if not seen["ok"]:
        return {
            **seen,
            **{name: known[name] for name in _LISTS if name in known},
            "last_ok_at": known.get("last_ok_at"),
            "last_error": {name: seen[name] for name in ("at", "error", "message")},
            "failures": known.get("failures", 0) + 1,
            "changes": None,
        }
    answered = known.get("last_ok_at") is not None
    return {
        **seen,
        "last_ok_at": seen["at"],
        "last_error": known.get("last_error"),
        "failures": 0,
        "changes": _changes(known["tools"], seen["tools"]) if answered else None,
    }


def health(found: Mapping[str, Any] | None) -> Json:
    """A server's health by what is remembered of it: `status` is unknown (nobody has looked), healthy or failing."""
    if found is None:
        nothing = ("checked_at", "latency_ms", "last_ok_at", "last_error", "tools_count")
        return {"status": "unknown", **dict.fromkeys(nothing), "failures": 0}
    answered = found["last_ok_at"] is not None
    return {
        "status": "healthy" if found["ok"] else "failing",
        "checked_at": found["at"],
        "latency_ms": found["latency_ms"],
        "last_ok_at": found["last_ok_at"],
        "last_error": found["last_error"],
        "tools_count": len(found["tools"]) if answered else None,
        "failures": found["failures"],
    }


def _changes(before: list[Json], after: list[Json]) -> Json:
    old, new = ({t["name"]: t for t in tools} for tools in (before, after))
    return {
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
        "changed": [name for name in new if name in old and new[name] != old[name]],
    }
