"""A figure, and how two things are compared: measured in turn, in one run, and put as a ratio."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

RATIO: Final = "x"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: `value` in `unit`, at most `target` if there is one, and what else there is to know."""

    name: str
    value: float
    target: float | None
    detail: Mapping[str, Any]
    unit: str = RATIO

    @property
    def met(self) -> str:
        """`yes`, `NO`, or `-` where there is no target."""
        if self.target is None:
            return "-"
        return "yes" if self.value <= self.target else "NO"

    def as_dict(self) -> dict[str, Any]:
        """As `.local/bench.json` has it."""
        return {"value": self.value, "target": self.target, "unit": self.unit, "detail": dict(self.detail)}


def compared(
    name: str,
    ours: Sequence[float],
    bare: Sequence[float],
    *,
    against: str,
    target: float | None = None,
    detail: Mapping[str, Any] | None = None,
) -> Figure:
    """The ratio of two medians. Both are milliseconds, measured in turn."""
    return Figure(
        name,
        round(median(ours) / median(bare), 2),
        target,
        {
            "against": against,
            "rounds": len(ours),
            "ours_ms": round(median(ours), 1),
            "bare_ms": round(median(bare), 1),
            "ours_p95_ms": round(_p95(ours), 1),
            "bare_p95_ms": round(_p95(bare), 1),
            **(detail or {}),
        },
    )


def _p95(values: Sequence[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


def rounds(count: int, seconds: float, at_least: int = 2) -> Iterator[int]:
    """`count` rounds, or as many as begin within `seconds`: on a busy machine a measurement must end, too."""
    end = time.monotonic() + seconds
    for number in range(count):
        if number >= at_least and time.monotonic() > end:
            return
        yield number


def table(figures: Sequence[Figure]) -> str:
    """All figures for reading: one line each, and below it what is behind it."""
    lines = [f"{'figure':<30} {'value':>8}  {'target':>8}  met"]
    against = ""
    for figure in figures:
        target = "" if figure.target is None else f"≤ {figure.target:g} {figure.unit}"
        lines.append(f"{figure.name:<30} {f'{figure.value:g} {figure.unit}':>8}  {target:>8}  {figure.met}")
        if figure.detail.get("against", against) != against:
            against = figure.detail["against"]
            lines.append(f"    against {against}")
        rest = {name: value for name, value in figure.detail.items() if name != "against"}
        lines.append("    " + ", ".join(f"{name} {value}" for name, value in rest.items()))
    return "\n".join(lines)


def write(figures: Sequence[Figure], path: Path) -> None:
    """All figures as JSON, `{figure: {value, target, unit, detail}}`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({figure.name: figure.as_dict() for figure in figures}, indent=2, ensure_ascii=False) + "\n"
    )
