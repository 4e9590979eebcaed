"""The call that decides on the next pass also does the last segment of the one before."""

from __future__ import annotations

from dataclasses import replace

from stepfunctions.compiler.optimise.within import within
from stepfunctions.compiler.steps import Do, Steps, Turns


def tail(steps: Steps) -> Steps:
    """Bodies without their last segment, where one pass runs at a time: a pass is brought to its end in any case."""
    return within(steps, _cut)


def _cut(turns: Turns) -> Turns:
    if turns.lanes > 1 or turns.apart or not isinstance(turns.body[-1], Do) or len(turns.body) == 1:
        return turns
    return replace(turns, body=turns.body[:-1])
