"""A state machine as it was read: its scopes, and the ways from state to state. Tolerant of whatever JSON there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

State = dict[str, Any]

TOP: Final = "the machine"
ENDS: Final = ("Succeed", "Fail")


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """The machine itself, a branch of a Parallel or the processor of a Map.

    `states` are those that are objects; `container` is the name of the state that holds the scope, in `outer`.
    """

    where: str
    machine: State
    states: Mapping[str, State]
    outer: Scope | None = None
    container: str = ""
    distributed: bool = False  # runs as executions of its own, which see no variable from outside
    express: bool = False  # in executions that can only ask and get an answer

    def enclosing(self) -> Iterator[Scope]:
        """The scopes around this one, the nearest first."""
        scope = self.outer
        while scope is not None:
            yield scope
            scope = scope.outer


@dataclass(frozen=True, slots=True)
class Way:
    """From a state to `target`, with what is assigned on the way."""

    target: str
    assigns: Mapping[str, Any]


def scopes(machine: State) -> list[Scope]:
    """All scopes of a machine, each after the one that holds it."""
    found = [Scope(TOP, machine, states_of(machine))]
    for scope in found:  # grows while it is walked
        for name, state in scope.states.items():
            found += _inner(scope, name, state)
    return found


def states_of(machine: State) -> dict[str, State]:
    """The states of a scope that are objects."""
    return {name: state for name, state in mapping(machine.get("States")).items() if isinstance(state, dict)}


def _inner(scope: Scope, name: str, state: State) -> Iterator[Scope]:
    for i, branch in enumerate(objects(state.get("Branches"))):
        yield Scope(f"branch {i} of {name}", branch, states_of(branch), scope, name, express=scope.express)
    processor = state.get("ItemProcessor")
    if isinstance(processor, dict):
        distributed = is_distributed(state)
        express = mapping(processor.get("ProcessorConfig")).get("ExecutionType") == "EXPRESS"
        yield Scope(
            f"the processor of {name}",
            processor,
            states_of(processor),
            scope,
            name,
            distributed,
            express if distributed else scope.express,
        )


def is_distributed(state: State) -> bool:
    """Whether a Map runs its items as executions of their own."""
    return mapping(mapping(state.get("ItemProcessor")).get("ProcessorConfig")).get("Mode") == "DISTRIBUTED"


def ways(state: State) -> Iterator[Way]:
    """The ways out of a state."""
    assigns = mapping(state.get("Assign"))
    for follows in ("Next", "Default"):
        if isinstance(state.get(follows), str):
            yield Way(state[follows], assigns)
    # When an error is caught, nothing of the state's own Assign has happened.
    for rule in (*objects(state.get("Catch")), *objects(state.get("Choices"))):
        if isinstance(rule.get("Next"), str):
            yield Way(rule["Next"], mapping(rule.get("Assign")))


def ends(state: State) -> bool:
    """Whether a scope may end with this state."""
    return state.get("Type") in ENDS or "End" in state


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is an object, an empty one otherwise."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, none if it is no list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def strings(value: Any) -> Iterator[str]:
    """All strings of a JSON value, keys left out."""
    stack = [value]
    while stack:
        match stack.pop():
            case str(text):
                yield text
            case dict(members):
                stack += reversed(members.values())
            case list(items):
                stack += reversed(items)


def keys(value: Any) -> Iterator[str]:
    """All keys of all objects in a JSON value."""
    stack = [value]
    while stack:
        match stack.pop():
            case dict(members):
                yield from members
                stack += members.values()
            case list(items):
                stack += items
