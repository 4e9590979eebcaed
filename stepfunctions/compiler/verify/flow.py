"""The ways through a machine: they lead to states of their scope, from the start to an end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from stepfunctions.compiler.verify.machine import Scope, ends, ways


def flow(scopes: Sequence[Scope]) -> Iterator[str]:
    """Targets that are not there, states that are never reached or that nothing leads out of."""
    for scope in scopes:
        astray = list(_astray(scope))
        # A way that leads nowhere says nothing about the rest of its scope.
        yield from astray or _lost(scope)


def _astray(scope: Scope) -> Iterator[str]:
    start = scope.machine.get("StartAt")
    if isinstance(start, str) and start not in scope.states:
        yield f"{scope.where} starts at {start}, which is not in its scope"
    for name, state in scope.states.items():
        for target in dict.fromkeys(way.target for way in ways(state)):
            if target not in scope.states:
                yield f"{name} leads to {target}, which is not in its scope"


def _lost(scope: Scope) -> Iterator[str]:
    start = scope.machine.get("StartAt")
    forward: dict[str, list[str]] = {}
    back: dict[str, list[str]] = {}
    for name, state in scope.states.items():
        for way in ways(state):
            forward.setdefault(name, []).append(way.target)
            back.setdefault(way.target, []).append(name)
    reached = _closure([start] if isinstance(start, str) else [], forward)
    ending = _closure((name for name, state in scope.states.items() if ends(state)), back)
    for name in scope.states:
        if name not in reached:
            yield f"the state {name} cannot be reached"
        elif name not in ending:
            yield f"no way leads from {name} to an end"


def _closure(start: Iterable[str], leads: Mapping[str, Sequence[str]]) -> set[str]:
    found: set[str] = set()
    stack = list(start)
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack += leads.get(name, ())
    return found
