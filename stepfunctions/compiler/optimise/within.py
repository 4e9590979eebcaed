"""The walk that passes share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from stepfunctions.compiler.steps import Step, Steps, Together, Turns


def within(steps: Steps, change: Callable[[Turns], Turns]) -> Steps:
    """The steps with every container changed, the inner ones first."""
    return tuple(_changed(step, change) for step in steps)


def _changed(step: Step, change: Callable[[Turns], Turns]) -> Step:
    match step:
        case Together():
            return Together(tuple(within(branch, change) for branch in step.branches))
        case Turns():
            return change(replace(step, body=within(step.body, change)))
        case _:
            return step
