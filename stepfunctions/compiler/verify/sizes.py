"""Sizes that the service refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final

from stepfunctions.compiler.verify.machine import Scope
from stepfunctions.compiler.verify.places import places_of

MAX_DEFINITION: Final = 1_000_000  # characters; a request may have 1 MB, and there is more in it than the definition
MAX_VALUE: Final = 262_144  # bytes: of what a state takes and gives, and of all that one Assign assigns
_ARN: Final = 140  # characters, at most, of a function's ARN that is put in
_PLACEHOLDER: Final = re.compile(r"\$\{[a-z]+\}")


def too_large(text: str) -> Iterator[str]:
    """A definition, as JSON text, that no state machine can have."""
    size = len(text) + _ARN * len(_PLACEHOLDER.findall(text))
    if size > MAX_DEFINITION:
        yield f"the state machine has {size:,} bytes, the limit is {MAX_DEFINITION:,}; split the workflow"


def literals(scopes: Sequence[Scope]) -> Iterator[str]:
    """Values written out that are larger than a value may be."""
    for scope in scopes:
        for name, state in scope.states.items():
            for place in places_of(state):
                if isinstance(place.value, (str, dict, list)):
                    size = len(json.dumps(place.value, ensure_ascii=False).encode(errors="replace"))
                    if size > MAX_VALUE:
                        yield f"{name}, {place.field}: {size:,} bytes, the limit is {MAX_VALUE:,}"
