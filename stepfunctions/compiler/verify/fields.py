"""Which fields a state of each type has in JSONata, and what may stand in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from stepfunctions.compiler.verify.expression import is_expression, looks_like_expression
from stepfunctions.compiler.verify.machine import TOP, Scope, State, is_distributed, mapping

_LONGEST: Final = 99_999_999  # seconds
_INLINE_AT_ONCE: Final = 40
_MAX_LABEL: Final = 40
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

_EVERY: Final = frozenset({"Type", "Comment", "QueryLanguage"})
_GOES_ON: Final = _EVERY | {"Output", "Assign", "Next", "End"}
_FALLIBLE: Final = _GOES_ON | {"Retry", "Catch"}
_DISTRIBUTED_ONLY: Final = frozenset(
    {"ItemReader", "ItemBatcher", "ResultWriter", "ToleratedFailureCount", "ToleratedFailurePercentage", "Label"}
)
FIELDS: Final = {
    "Task": _FALLIBLE | {"Resource", "Arguments", "Credentials", "TimeoutSeconds", "HeartbeatSeconds"},
    "Parallel": _FALLIBLE | {"Branches", "Arguments"},
    "Map": _FALLIBLE | {"Items", "ItemSelector", "ItemProcessor", "MaxConcurrency"} | _DISTRIBUTED_ONLY,
    "Pass": _GOES_ON,
    "Wait": _GOES_ON | {"Seconds", "Timestamp"},
    # AWS allows Assign beside Choices, where it holds for Default only: engines differ, so it belongs into the rules.
    "Choice": _EVERY | {"Choices", "Default", "Output"},
    "Succeed": _EVERY | {"Output"},
    "Fail": _EVERY | {"Error", "Cause"},
}
_REQUIRED: Final = {
    "Task": ("Resource",),
    "Parallel": ("Branches",),
    "Map": ("ItemProcessor",),
    # Nothing can catch that no rule holds.
    "Choice": ("Choices", "Default"),
}
_RULE: Final = frozenset({"Condition", "Next", "Output", "Assign", "Comment"})
_TOP_FIELDS: Final = frozenset({"Comment", "QueryLanguage", "StartAt", "States", "TimeoutSeconds", "Version"})
_INNER_FIELDS: Final = frozenset({"Comment", "StartAt", "States"})


def is_whole(value: Any, least: int, most: int) -> bool:
    """Whether a value is a whole number within bounds."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_constant(value: Any) -> bool:
    """Whether a value is text that nothing evaluates."""
    return isinstance(value, str) and value != "" and not looks_like_expression(value)


def _number(least: int, most: int) -> tuple[str, Callable[[Any], bool]]:
    def check(value: Any) -> bool:
        return is_whole(value, least, most) or is_expression(value)

    return f"a whole number from {least} to {most:,} or an expression", check


def _is_moment(value: Any) -> bool:
    return is_expression(value) or (isinstance(value, str) and _MOMENT.fullmatch(value) is not None)


def _is_arn(value: Any) -> bool:
    return is_constant(value) and value.startswith(("arn:", "${"))


_TEXT: Final = ("text", lambda v: isinstance(v, str))
_CONSTANT: Final = ("constant text", is_constant)
_OBJECT: Final = ("an object", lambda v: isinstance(v, dict))
_FILLED: Final = ("a list of objects, not empty", lambda v: bool(v) and _all_objects(v))
_OBJECT_OR: Final = ("an object or an expression", lambda v: isinstance(v, dict) or is_expression(v))
_KINDS: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "Comment": _TEXT,
    "QueryLanguage": ("JSONata", lambda v: v == "JSONata"),
    "Next": _CONSTANT,
    "Default": _CONSTANT,
    "End": ("true", lambda v: v is True),
    "Resource": ("a constant ARN", _is_arn),
    "Arguments": _OBJECT_OR,
    "Credentials": _OBJECT_OR,
    "Assign": _OBJECT,
    "TimeoutSeconds": _number(1, _LONGEST),
    "HeartbeatSeconds": _number(1, _LONGEST),
    "Retry": ("a list of objects", lambda v: _all_objects(v)),
    "Catch": ("a list of objects", lambda v: _all_objects(v)),
    "Branches": _FILLED,
    "Choices": _FILLED,
    # AWS takes an object, too; engines differ on what its items are.
    "Items": ("a list or an expression", lambda v: isinstance(v, list) or is_expression(v)),
    "ItemSelector": _OBJECT_OR,
    "ItemProcessor": _OBJECT,
    "ItemReader": _OBJECT,
    "ItemBatcher": _OBJECT,
    "ResultWriter": _OBJECT,
    "MaxConcurrency": _number(0, _LONGEST),
    "ToleratedFailureCount": _number(0, _LONGEST),
    "ToleratedFailurePercentage": _number(0, 100),
    "Label": (f"constant text of at most {_MAX_LABEL} characters", lambda v: is_constant(v) and len(v) <= _MAX_LABEL),
    "Seconds": _number(0, _LONGEST),
    "Timestamp": ("a moment or an expression", _is_moment),
    "Condition": ("an expression", is_expression),
    "Error": _TEXT,
    "Cause": _TEXT,
    "StartAt": _CONSTANT,
    "States": ("an object, not empty", lambda v: isinstance(v, dict) and bool(v)),
    "Version": _TEXT,
}


def _all_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def fields(scopes: Sequence[Scope]) -> Iterator[str]:
    """Fields that do not exist, are missing, or hold what they cannot hold."""
    for scope in scopes:
        yield from _machine(scope)
        written = mapping(scope.machine.get("States"))
        yield from (f"{name} is not an object" for name in written if name not in scope.states)
        for name, state in scope.states.items():
            yield from _state(name, state)


def _machine(scope: Scope) -> Iterator[str]:
    allowed = _TOP_FIELDS if scope.where == TOP else _INNER_FIELDS
    machine = scope.machine
    if scope.where.startswith("the processor of"):
        allowed |= {"ProcessorConfig"}
        yield from _processor(scope)
    yield from (f"{scope.where} has no field {field}" for field in sorted(set(machine) - allowed))
    required = ["StartAt", "States", *(["QueryLanguage"] if scope.where == TOP else [])]
    yield from (f"{scope.where} needs {field}" for field in required if field not in machine)
    yield from _kinds(scope.where, machine)
    if is_expression(machine.get("TimeoutSeconds")):
        yield f"{scope.where}: TimeoutSeconds must be a number"


def _processor(scope: Scope) -> Iterator[str]:
    config = scope.machine.get("ProcessorConfig", {"Mode": "INLINE"})
    inline = config == {"Mode": "INLINE"}
    if not inline and config not in [{"Mode": "DISTRIBUTED", "ExecutionType": t} for t in ("STANDARD", "EXPRESS")]:
        yield f"{scope.where}: ProcessorConfig must be INLINE, or DISTRIBUTED with its ExecutionType"


def _state(name: str, state: State) -> Iterator[str]:
    kind = state.get("Type")
    if not isinstance(kind, str) or kind not in FIELDS:
        yield f"{name}: there is no type of state {kind!r}"
        return
    for field in sorted(set(state) - FIELDS[kind]):
        yield f"{name}: a {kind} state has no field {field}"
    yield from (f"{name} needs {field}" for field in _REQUIRED.get(kind, ()) if field not in state)
    yield from _kinds(name, state)
    if "End" in FIELDS[kind] and ("Next" in state) == ("End" in state):
        yield f"{name} must have either Next or End"
    if kind == "Wait" and ("Seconds" in state) == ("Timestamp" in state):
        yield f"{name} must have either Seconds or Timestamp"
    if kind == "Map":
        yield from _map(name, state)
    if kind == "Choice":
        yield from _rules(name, state)


def _kinds(name: str, holder: State) -> Iterator[str]:
    for field, value in holder.items():
        if field in _KINDS and not _KINDS[field][1](value):
            yield f"{name}: {field} must be {_KINDS[field][0]}"


def _map(name: str, state: State) -> Iterator[str]:
    for field in ("ItemReader", "ResultWriter"):
        if field in state and not _is_arn(mapping(state[field]).get("Resource")):
            yield f"{name}, {field}: Resource must be a constant ARN"
    if not is_distributed(state):
        yield from (f"{name}: only a Distributed Map has {f}" for f in sorted(_DISTRIBUTED_ONLY & set(state)))
        at_once = state.get("MaxConcurrency")
        if isinstance(at_once, int) and at_once > _INLINE_AT_ONCE:
            yield f"{name}: an inline Map runs at most {_INLINE_AT_ONCE} items at once"


def _rules(name: str, state: State) -> Iterator[str]:
    choices = state.get("Choices")
    for i, rule in enumerate(choices if isinstance(choices, list) else ()):
        if isinstance(rule, dict):
            where = f"{name}, rule {i}"
            yield from (f"{where} has no field {field}" for field in sorted(set(rule) - _RULE))
            yield from (f"{where} needs {field}" for field in ("Condition", "Next") if field not in rule)
            yield from _kinds(where, rule)
