"""What compiling takes, and how long the runs are that come of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import mean
from timeit import repeat
from typing import Any, Final

from infrastructure.bench.figures import Figure
from infrastructure.bench.shapes import SHAPES, any_order, ordered, series_parallel
from shared.expressions import references, template
from shared.workflows.model import Document
from stepfunctions.compiler.compile import compile_document
from stepfunctions.compiler.verify import expression
from stepfunctions.plan import Plan
from stepfunctions.transitions import nodes_of

_SMALL, _LARGE = 100, 1_000
_SECONDS: Final = 0.5
_GROWTH: Final = 12
_SIZES: Final = (5, 40)


def measure(rounds: int, graphs: int) -> list[Figure]:
    """`compile_1000_nodes`, `compile_growth`, `run_length_series_parallel`, `run_length_any_order`."""
    return [*_compiling(rounds), *lengths(graphs)]


# --- time ------------------------------------------------------------------------------------------------------------


def _compiling(rounds: int) -> list[Figure]:
    took = {name: (_best(make(_SMALL), rounds), _best(make(_LARGE), rounds)) for name, make in SHAPES.items()}
    growth = {name: large / small for name, (small, large) in took.items()}
    seconds = max(large for _, large in took.values())
    return [
        Figure(
            "compile_1000_nodes",
            round(seconds, 3),
            _SECONDS,
            {
                "against": "processor time: to check, compile and verify 1,000 nodes, the slowest of five shapes",
                **{f"{name}_ms": round(large * 1000) for name, (_, large) in took.items()},
            },
            "s",
        ),
        Figure(
            "compile_growth",
            round(max(growth.values()), 1),
            _GROWTH,
            {
                "against": "the same with 100 nodes",
                **{name: round(value, 1) for name, value in growth.items()},
            },
        ),
    ]


def _best(document: Document, rounds: int) -> float:
    """Seconds of the processor's time, the fewest of some rounds; each has to parse its expressions anew."""
    _compiled(document)
    return min(repeat(lambda: compile_document(document), _forget, time.process_time, rounds, 1))


def _forget() -> None:
    for remembers in (references.analyse, template.parse, expression.analyse):
        remembers.cache_clear()


def _compiled(document: Document) -> Plan:
    compiled = compile_document(document)
    if compiled.plan is None:
        raise ValueError(f"a document of the bench does not compile: {compiled.diagnostics[:3]}")
    return compiled.plan


# --- length ----------------------------------------------------------------------------------------------------------


def lengths(graphs: int) -> list[Figure]:
    """`run_length_…`: of random graphs, how long a run of their states is against their longest path."""
    return [
        _length("run_length_series_parallel", series_parallel, graphs, 1.0),
        _length("run_length_any_order", any_order, graphs, 1.1),
    ]


def _length(name: str, make: Callable[[int, random.Random], list[list[int]]], graphs: int, target: float) -> Figure:
    dice = random.Random(graphs)  # noqa: S311 - nothing secret
    found: dict[str, list[float]] = {}
    for _ in range(graphs):
        before = make(dice.randint(*_SIZES), dice)
        durations = [dice.random() for _ in before]
        waits, mixed = _compiled(ordered(before, dice)), _compiled(ordered(before, dice, waits=0.5))
        rests = [mixed.nodes[f"n{i}"].kind != "effect" for i in range(len(before))]
        lasts: dict[str, tuple[Plan, list[float]]] = {
            "units": (waits, [1.0] * len(before)),
            "waits_of_0_to_1": (waits, durations),
            "waits_of_1_to_100": (waits, [100**d for d in durations]),
            "half_requests_units": (mixed, [1.0] * len(before)),
            "half_requests_short": (mixed, [1.0 if rest else 0.01 for rest in rests]),
        }
        for kind, (plan, each) in lasts.items():
            ratio = length(plan, {f"n{i}": d for i, d in enumerate(each)}) / _longest(before, each)
            found.setdefault(kind, []).append(ratio)
    detail = {
        "against": "the longest path; mean of random graphs of 5 to 40 waits of one unit each",
        "graphs": graphs,
        "most": round(max(found["units"]), 3),
        **{kind: round(mean(ratios), 3) for kind, ratios in found.items() if kind != "units"},
    }
    return Figure(name, round(mean(found["units"]), 3), target, detail)


def length(plan: Plan, lasts: Mapping[str, float]) -> float:
    """How long a run of these states is, from how long each node lasts; a node that is not named lasts no time.

    What a call runs is as long as the longest chain in it; branches side by side as the longest of them.
    """

    def machine(states: Mapping[str, Any], name: str | None) -> Iterator[float]:
        while name is not None:
            state = states[name]
            yield max((sum(machine(b["States"], b["StartAt"])) for b in state.get("Branches", ())), default=0)
            yield _longest_chain(plan, nodes_of(state, plan), lasts)
            name = state.get("Next")

    return sum(machine(plan.skeleton["States"], plan.skeleton["StartAt"]))


def _longest_chain(plan: Plan, nodes: Sequence[str], lasts: Mapping[str, float]) -> float:
    ends: dict[str, float] = {}
    for node in nodes:
        ends[node] = lasts.get(node, 0) + max((ends.get(w, 0) for w in plan.nodes[node].waits_for), default=0)
    return max(ends.values(), default=0)


def _longest(before: Sequence[Sequence[int]], durations: Sequence[float]) -> float:
    ends: list[float] = []
    for each, lasts in zip(before, durations, strict=True):
        ends.append(lasts + max((ends[j] for j in each), default=0))
    return max(ends)
