"""Expressions in their places: what `$states` holds depends on where one stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stepfunctions.compiler.verify.callbacks import waits_for_token
from stepfunctions.compiler.verify.expression import (
    MAP_ITEM,
    TOKEN,
    analyse,
    inside,
    is_expression,
    looks_like_expression,
)
from stepfunctions.compiler.verify.machine import Scope, State, keys, objects, strings

_CONSTANT: Final = frozenset(
    {"Type", "Comment", "QueryLanguage", "Resource", "Next", "Default", "End", "Label"}
    | {"Branches", "ItemProcessor", "Choices", "Retry", "Catch"}  # whose own places are told apart
)
_WITH_RESULT: Final = ("Task", "Parallel", "Map")
_ALWAYS: Final = frozenset({"input", "context"})
_CONTEXT: Final = frozenset({"Execution", "Map", "State", "StateMachine", "Task"})


@dataclass(frozen=True, slots=True)
class Place:
    """A field whose strings are evaluated: its name for people, its value, and what `$states` holds there."""

    field: str
    value: Any
    holds: frozenset[str] = _ALWAYS


def places_of(state: State) -> Iterator[Place]:
    """The evaluated fields of a state itself, not those of the states within it."""
    for field, value in state.items():
        if field not in _CONSTANT:
            result = field in ("Output", "Assign") and state.get("Type") in _WITH_RESULT
            yield Place(field, value, _ALWAYS | {"result"} if result else _ALWAYS)
    for i, catcher in enumerate(objects(state.get("Catch"))):
        for field in ("Output", "Assign"):
            if field in catcher:
                yield Place(f"Catch[{i}].{field}", catcher[field], _ALWAYS | {"errorOutput"})
    for i, rule in enumerate(objects(state.get("Choices"))):
        for field in ("Condition", "Output", "Assign"):
            if field in rule:
                yield Place(f"Choices[{i}].{field}", rule[field])


def places(scopes: Sequence[Scope]) -> Iterator[str]:
    """Expressions that are none, that do not parse, or that read what is not there where they stand."""
    for scope in scopes:
        for name, state in scope.states.items():
            for place in places_of(state):
                found = dict.fromkeys(_place(place, state))
                yield from (f"{name}, {place.field}: {problem}" for problem in found)


def _place(place: Place, state: State) -> Iterator[str]:
    for key in keys(place.value):
        if looks_like_expression(key):
            yield f"the key {key} would not be evaluated"
    for text in strings(place.value):
        if is_expression(text):
            found = analyse(inside(text))
            yield from found.problems
            if place.field == "Items" and found.is_object:
                yield "must be a list, not an object"
            for path in sorted(found.states):
                yield from _reads(path, place, state)
        elif looks_like_expression(text):
            yield "an expression must start with {% and end with %}"


def _reads(path: tuple[str, ...], place: Place, state: State) -> Iterator[str]:
    root = path[0]
    shown = "$states." + ".".join(path)
    if root == "result" and "result" not in place.holds:
        yield f"{shown} is only in Output and Assign of a Task, Parallel or Map state"
    elif root == "errorOutput" and "errorOutput" not in place.holds:
        yield f"{shown} is only in Output and Assign of a Catch"
    elif root not in (*_ALWAYS, "result", "errorOutput"):
        yield f"there is no {shown}"
    elif root == "context":
        if len(path) < 2 or path[1] not in _CONTEXT:
            yield f"{shown}: name what you read of the context"
        elif path[:2] == TOKEN[:2] and not waits_for_token(state):
            yield f"{shown} is only in a state that waits for a task token"
        elif path[:2] == MAP_ITEM[:2] and not (place.field == "ItemSelector" and state.get("Type") == "Map"):
            yield f"{shown} is only in the ItemSelector of a Map"
