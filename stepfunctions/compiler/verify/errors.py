"""Retriers and catchers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from stepfunctions.compiler.verify.fields import is_constant, is_whole
from stepfunctions.compiler.verify.machine import Scope, State, objects

_RETRIER: Final = frozenset(
    {"ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate", "MaxDelaySeconds", "JitterStrategy", "Comment"}
)
_CATCHER: Final = frozenset({"ErrorEquals", "Next", "Output", "Assign", "Comment"})
_MAX_ATTEMPTS: Final = 99_999_999
_MAX_DELAY: Final = 31_622_400  # seconds


def errors(scopes: Sequence[Scope]) -> Iterator[str]:
    """What is wrong with how errors are tried again and caught."""
    for scope in scopes:
        for name, state in scope.states.items():
            yield from _matched(name, state)
            for retrier in objects(state.get("Retry")):
                yield from (f"{name}: {problem}" for problem in _retrier(retrier))
            for catcher in objects(state.get("Catch")):
                yield from (f"{name}: {problem}" for problem in _catcher(catcher))


def _matched(name: str, state: State) -> Iterator[str]:
    for field in ("Retry", "Catch"):
        rules = objects(state.get(field))
        for i, rule in enumerate(rules):
            matched = rule.get("ErrorEquals")
            if not isinstance(matched, list) or not matched or not all(is_constant(each) for each in matched):
                yield f"{name}: ErrorEquals must be a list of constant names, not empty"
            elif "States.ALL" in matched and (len(matched) > 1 or i < len(rules) - 1):
                yield f"{name}: States.ALL must stand alone and last in {field}"


def _retrier(retrier: State) -> Iterator[str]:
    yield from (f"a retrier has no field {field}" for field in sorted(set(retrier) - _RETRIER))
    interval, most = retrier.get("IntervalSeconds", 1), retrier.get("MaxDelaySeconds", _MAX_DELAY)
    if not is_whole(interval, 1, _MAX_ATTEMPTS):
        yield "IntervalSeconds must be a whole number, at least 1"
    if not is_whole(retrier.get("MaxAttempts", 3), 0, _MAX_ATTEMPTS):
        yield f"MaxAttempts must be a whole number from 0 to {_MAX_ATTEMPTS:,}"
    if not _is_rate(retrier.get("BackoffRate", 2)):
        yield "BackoffRate must be a number, at least 1"
    if not is_whole(most, 1, _MAX_DELAY):
        yield f"MaxDelaySeconds must be a whole number from 1 to {_MAX_DELAY:,}"
    elif isinstance(interval, int) and "MaxDelaySeconds" in retrier and most <= interval:
        yield "MaxDelaySeconds must be more than IntervalSeconds"
    if retrier.get("JitterStrategy", "NONE") not in ("FULL", "NONE"):
        yield "JitterStrategy must be FULL or NONE"


def _is_rate(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 1


def _catcher(catcher: State) -> Iterator[str]:
    yield from (f"a catcher has no field {field}" for field in sorted(set(catcher) - _CATCHER))
    if not is_constant(catcher.get("Next")):
        yield "a catcher needs Next, as constant text"
    if not isinstance(catcher.get("Assign", {}), dict):
        yield "a catcher's Assign must be an object"
