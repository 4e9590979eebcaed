"""Which kind of execution a plan's runs begin with: Express where they are short and wait for nobody, else Standard.

The tier is a guess at the time, never a limit: what an Express execution does not finish goes on as a Standard one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final, Literal

from stepfunctions.compiler.express import express, name_of, waiting
from stepfunctions.plan import BoundNode, Plan

MOST_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Tier:
    """`why` is a sentence for people."""

    name: Literal["express", "standard"]
    why: str


def tier_of(plan: Plan) -> Tier:
    """The tier of a plan.

    Its time fits if its author allows a run at most five minutes, or if the nodes on its longest path are allowed that
    much, one attempt each. Most calls take a small part of what they are allowed and most first attempts succeed, so
    counting every attempt would send nearly everything to Standard; pure nodes count nothing. How long a loop takes
    that touches the world, nobody knows before it runs.
    """
    waits = waiting(plan.skeleton)
    if waits is not None:
        return Tier("standard", f"{_rests(plan) or f'the state {waits} may wait'}, which an Express execution cannot")
    if plan.timeout_seconds <= MOST_SECONDS:
        return Tier("express", f"nothing waits, and a run may take {plan.timeout_seconds} s")
    seconds = _longest(plan)
    if seconds == inf:
        return Tier("standard", "a loop calls the world: how long it takes is not known before it runs")
    if seconds > MOST_SECONDS:
        return Tier("standard", f"the nodes on the longest path may take {seconds:g} s; Express is for {MOST_SECONDS}")
    return Tier("express", f"nothing waits, and the nodes on the longest path may take {seconds:g} s")


def _rests(plan: Plan) -> str | None:
    """What in a plan an Express execution cannot have, said of the author's own nodes."""
    for node in plan.nodes.values():
        if node.kind in ("timer", "question"):
            return f"{node.id} waits"
    return next((f"{t.node} has executions of its own" for t in plan.turns if t.apart), None)


def express_machine(plan: Plan) -> tuple[str, Mapping[str, Any]] | None:
    """The name and the skeleton of the machine with which the plan's runs begin; None where that is its own."""
    if tier_of(plan).name == "standard":
        return None
    made = express(plan.skeleton, plan.machine)
    return name_of(made), made


def _longest(plan: Plan) -> float:
    """The seconds that the nodes on the longest path are allowed, one attempt each."""
    until: dict[str, float] = {}
    for node_id in plan.members[""]:
        node = plan.nodes[node_id]
        until[node_id] = max((until[n] for n in node.waits_for), default=0.0) + _seconds(node)
    return max(until.values(), default=0.0)


def _seconds(node: BoundNode) -> float:
    if node.pure or node.kind in ("trigger", "pure"):
        return 0.0
    return node.timeout_seconds if node.kind == "effect" else inf
