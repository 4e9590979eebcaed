"""States that wait for an answer from outside: nothing may wait without an end, and an answer must be possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from stepfunctions.compiler.verify.expression import TOKEN, analyse, inside, is_expression
from stepfunctions.compiler.verify.machine import Scope, State, strings

_CALLBACK: Final = ".waitForTaskToken"
_WAITS: Final = (_CALLBACK, ".sync", ".sync:2")


def waits_for_token(state: State) -> bool:
    """Whether a state is given a task token."""
    return state.get("Type") == "Task" and str(state.get("Resource")).endswith(_CALLBACK)


def callbacks(scopes: Sequence[Scope]) -> Iterator[str]:
    """Callbacks without a time-out, without a token, or where there are none; heartbeats that are never late."""
    for scope in scopes:
        for name, state in scope.states.items():
            if state.get("Type") != "Task":
                continue
            waits = str(state.get("Resource")).endswith(_WAITS)
            if waits and "TimeoutSeconds" not in state:
                yield f"{name} waits for an answer without a time-out"
            if waits and scope.express:
                yield f"{name} waits for an answer, which an Express execution cannot"
            if waits_for_token(state) and not _hands_on_token(state.get("Arguments")):
                yield f"{name} waits for a token that its Arguments do not hand on"
            beat, most = state.get("HeartbeatSeconds"), state.get("TimeoutSeconds")
            if isinstance(beat, int) and isinstance(most, int) and beat >= most:
                yield f"{name}: HeartbeatSeconds must be less than TimeoutSeconds"


def _hands_on_token(arguments: Any) -> bool:
    texts = (inside(text) for text in strings(arguments) if is_expression(text))
    return any(path[: len(TOKEN)] == TOKEN for text in texts for path in analyse(text).states)
