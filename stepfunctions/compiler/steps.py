"""The states of a scope before they are written: what comes after what, without names and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from stepfunctions.compiler.segments import Block


@dataclass(frozen=True, slots=True)
class Do:
    """A segment: one call."""

    block: Block


@dataclass(frozen=True, slots=True)
class Rest:
    """A timer. The call before it, in its own chain or before the branches it begins, arms it."""

    block: Block


@dataclass(frozen=True, slots=True)
class Ask:
    """A question: whoever answers it goes on."""

    block: Block


@dataclass(frozen=True, slots=True)
class Together:
    """Chains side by side."""

    branches: tuple[Steps, ...]


@dataclass(frozen=True, slots=True)
class Turns:
    """A container whose body rests somewhere: a call decides on each pass, then the body's steps follow.

    `lanes`: how many passes may run at once. `tolerant`: a pass that fails does not end the others. `lead`: what the
    deciding call does of the pass at once. `apart`: passes run as executions of their own (Distributed Map).
    """

    block: Block
    body: Steps
    lanes: int
    tolerant: bool
    lead: Block | None = None
    apart: bool = False


Step: TypeAlias = Do | Rest | Ask | Together | Turns
Steps: TypeAlias = tuple[Step, ...]
EMPTY = Block("segment", "", ())


def starts_with_rest(step: Step) -> bool:
    """Whether a timer comes first, so that a call has to have armed it before."""
    match step:
        case Rest():
            return True
        case Together():
            return any(starts_with_rest(branch[0]) for branch in step.branches)
        case _:
            return False
