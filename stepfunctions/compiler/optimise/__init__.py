"""What makes a state machine smaller without changing what a run gives: one pass a file, steps in, steps out.

Each can be left out by its name, and a property test leaves out each in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from stepfunctions.compiler.optimise.lead import lead
from stepfunctions.compiler.optimise.tail import tail
from stepfunctions.compiler.steps import Steps

PASSES: Final[Mapping[str, Callable[[Steps], Steps]]] = {"lead": lead, "tail": tail}


def optimise(steps: Steps, *, without: Collection[str] = ()) -> Steps:
    """The steps after every pass but those named."""
    for name, each in PASSES.items():
        if name not in without:
            steps = each(steps)
    return steps
