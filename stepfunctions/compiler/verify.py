"""What Step Functions would refuse or fail on, found before it is asked: run on every skeleton that is emitted.

Limits and rules: AWS Step Functions developer guide, "Service quotas", "Transforming data", "Passing data with
variables" (a name assigned in an inner scope may not be assigned in an outer one; state names are unique in the
whole machine). Whatever this finds is a bug of the compiler, or a workflow too large for one machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from stepfunctions.compiler.diagnostics import Diagnostic

MAX_DEFINITION: Final = 1_000_000  # bytes; the quota is 1 MB, and the functions' ARNs still come in
MAX_NAME: Final = 80

_COMMON: Final = {"Type", "Comment", "Next", "End", "Output"}
_FIELDS: Final = {
    "Task": _COMMON | {"Resource", "Arguments", "Assign", "TimeoutSeconds", "HeartbeatSeconds", "Retry", "Catch"},
    "Parallel": _COMMON | {"Branches", "Arguments", "Assign", "Retry", "Catch"},
    "Wait": _COMMON | {"Seconds", "Timestamp", "Assign"},
    "Succeed": {"Type", "Comment", "Output"},
}
_VARIABLE: Final = re.compile(r"\$(?!states\b)([A-Za-z_][A-Za-z0-9_]*)\b(?!\()")


def verify(skeleton: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """Everything wrong with a state machine."""
    size = len(json.dumps(skeleton))
    if size > MAX_DEFINITION:
        message = f"the state machine has {size:,} bytes, the limit is {MAX_DEFINITION:,}; split the workflow"
        yield Diagnostic("machine_too_large", message)
    seen: set[str] = set()
    yield from _scope(skeleton, seen, frozenset())


def _wrong(message: str) -> Diagnostic:
    return Diagnostic("bad_skeleton", message)


def _scope(machine: Mapping[str, Any], seen: set[str], outer: frozenset[str]) -> Iterator[Diagnostic]:
    states: Mapping[str, Mapping[str, Any]] = machine["States"]
    assigned = frozenset(name for state in states.values() for name in state.get("Assign", ()))
    for name in sorted(assigned & outer):
        yield _wrong(f"the variable {name} is assigned in an inner and an outer scope")
    reached = _reached(machine["StartAt"], states)
    for name in states:
        if name not in reached:
            yield _wrong(f"the state {name} cannot be reached")
    for name, state in states.items():
        if name in seen:
            yield _wrong(f"two states are named {name}")
        if len(name) > MAX_NAME:
            yield _wrong(f"the state name {name} is longer than {MAX_NAME} characters")
        seen.add(name)
        yield from _state(name, state, states)
        for used in sorted(_variables(state) - assigned - outer):
            yield _wrong(f"{name} reads ${used}, which nothing assigns")
        for branch in state.get("Branches", ()):
            yield from _scope(branch, seen, outer | assigned)


def _state(name: str, state: Mapping[str, Any], states: Mapping[str, Any]) -> Iterator[Diagnostic]:
    for field in sorted(set(state) - _FIELDS.get(state["Type"], set())):
        yield _wrong(f"{name}: a {state['Type']} state has no field {field}")
    for target in _targets(state):
        if target not in states:
            yield _wrong(f"{name} leads to {target}, which is not in its scope")
    if state["Type"] != "Succeed" and ("Next" in state) == ("End" in state):
        yield _wrong(f"{name} must have either Next or End")
    if str(state.get("Resource", "")).endswith(".waitForTaskToken") and "TimeoutSeconds" not in state:
        yield _wrong(f"{name} waits for a token without a time-out")
    for retrier in state.get("Retry", ())[:-1]:
        if "States.ALL" in retrier["ErrorEquals"]:
            yield _wrong(f"{name}: States.ALL must stand alone and last")


def _targets(state: Mapping[str, Any]) -> list[str]:
    found = [state["Next"]] if "Next" in state else []
    return found + [c["Next"] for c in state.get("Catch", ())]


def _reached(start: str, states: Mapping[str, Mapping[str, Any]]) -> set[str]:
    reached: set[str] = set()
    stack = [start]
    while stack:
        name = stack.pop()
        if name in states and name not in reached:
            reached.add(name)
            stack += _targets(states[name])
    return reached


def _variables(state: Mapping[str, Any]) -> set[str]:
    """Variables that a state's own expressions read (not those of the states inside it)."""
    own = {k: v for k, v in state.items() if k != "Branches"}
    found: set[str] = set()
    for text in _strings(own):
        if text.startswith("{%"):
            found.update(_VARIABLE.findall(text))
    return found


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _strings(each)
