"""The call that decides on a pass also does the first segment of it: a state and a call less for each pass."""

from __future__ import annotations

from dataclasses import replace

from stepfunctions.compiler.optimise.within import within
from stepfunctions.compiler.steps import Do, Steps, Turns


def lead(steps: Steps) -> Steps:
    """Bodies without their first segment, where one pass runs at a time."""
    return within(steps, _led)


def _led(turns: Turns) -> Turns:
    first = turns.body[0]
    if turns.lanes > 1 or turns.apart or not isinstance(first, Do) or len(turns.body) == 1:
        return turns
    return replace(turns, lead=first.block, body=turns.body[1:])
