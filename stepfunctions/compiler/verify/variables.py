"""Variables: one scope assigns a name, and every way to a state that reads one has assigned it before.

An expression sees the values that variables have when its state is entered. A branch or an item starts with those of
the state that holds it; a Distributed Map's items are executions of their own and start with none. When an error is
caught, only the catcher's Assign has happened.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from stepfunctions.compiler.verify.expression import analyse, inside, is_expression
from stepfunctions.compiler.verify.machine import Scope, State, strings, ways
from stepfunctions.compiler.verify.names import assigned_by
from stepfunctions.compiler.verify.places import places_of


def variables(scopes: Sequence[Scope]) -> Iterator[str]:
    """Names assigned in two scopes, one in the other, and variables read where they may have no value."""
    assigned = {scope: {v for state in scope.states.values() for v in assigned_by(state)} for scope in scopes}
    # Sets of variables as bits: a machine may have a thousand of them, and each state has such a set.
    bit = {v: 1 << i for i, v in enumerate(sorted(set().union(*assigned.values())))}
    known: dict[tuple[Scope, str], int] = {}
    for scope in scopes:
        enclosing = list(scope.enclosing())
        outside = set().union(*(assigned[s] for s in enclosing))
        for name in sorted(assigned[scope] & outside):
            yield f"the variable {name} is assigned in an inner and an outer scope"
        if scope.outer is not None and (scope.outer, scope.container) not in known:
            continue  # cannot be reached, which is said elsewhere
        start = 0 if scope.outer is None or scope.distributed else known[scope.outer, scope.container]
        for name, before in _before(scope, start, bit).items():
            known[scope, name] = before
            for read in sorted(_reads(scope.states[name])):
                if not before & bit.get(read, 0):
                    yield f"{name} reads ${read}, {_why(read, scope, assigned)}"


def _before(scope: Scope, start: int, bit: dict[str, int]) -> dict[str, int]:
    """For each state that is reached: what is assigned on every way to it."""
    first = scope.machine.get("StartAt")
    if not isinstance(first, str) or first not in scope.states:
        return {}
    before = {first: start}
    waiting = deque([first])
    while waiting:
        name = waiting.popleft()
        for way in ways(scope.states[name]):
            after = before[name]
            for variable in way.assigns:
                after |= bit[variable]
            if way.target in scope.states:
                met = before.get(way.target, after) & after
                if before.get(way.target) != met:
                    before[way.target] = met
                    waiting.append(way.target)
    return before


def _reads(state: State) -> set[str]:
    texts = (text for place in places_of(state) for text in strings(place.value))
    return {name for text in texts if is_expression(text) for name in analyse(inside(text)).variables}


def _why(read: str, scope: Scope, assigned: dict[Scope, set[str]]) -> str:
    inner: Scope | None = scope
    walled = False
    while inner is not None:
        if read in assigned[inner]:
            return "which a Distributed Map does not see" if walled else "which is not assigned on every way to it"
        walled = walled or inner.distributed
        inner = inner.outer
    return "which nothing assigns"
