"""Names of states and of variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from stepfunctions.compiler.verify.expression import FUNCTIONS
from stepfunctions.compiler.verify.machine import Scope, State, mapping, objects

MAX_NAME: Final = 80  # characters, of a state and of a variable
# What AWS refuses in the names of machines and executions; a state's name stands in logs and links like theirs.
_ILLEGAL: Final = re.compile(r"""[\x00-\x20\x7f-\x9f?*<>{}\[\]"#%\\^|~`$&,;:/]""")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def names(scopes: Sequence[Scope]) -> Iterator[str]:
    """Names that are too long, not legal, or taken; states are named once in the whole machine."""
    seen: set[str] = set()
    for scope in scopes:
        for name, state in scope.states.items():
            if name in seen:
                yield f"two states are named {name}"
            seen.add(name)
            if len(name) > MAX_NAME:
                yield f"the state name {name} is longer than {MAX_NAME} characters"
            if name == "" or _ILLEGAL.search(name):
                yield f"{name!r} is not a legal name of a state"
            for variable in assigned_by(state):
                yield from (f"{name}: {problem}" for problem in _variable(variable))


def assigned_by(state: State) -> dict[str, None]:
    """The variables that a state assigns in its scope, by whichever of its Assign fields."""
    places = (state, *objects(state.get("Catch")), *objects(state.get("Choices")))
    return {variable: None for place in places for variable in mapping(place.get("Assign"))}


def _variable(variable: str) -> Iterator[str]:
    if _VARIABLE.fullmatch(variable) is None:
        yield f"{variable!r} is not a legal name of a variable"
    elif len(variable) > MAX_NAME:
        yield f"the variable name {variable} is longer than {MAX_NAME} characters"
    elif variable == "states":
        yield "states cannot be assigned"
    elif variable in FUNCTIONS:
        yield f"{variable} is a function, not a variable"
