"""Answers of the command line, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stepfunctions.compiler.diagnostics import Diagnostic


def table(head: Sequence[str], rows: Iterable[Sequence[object]], indent: str = "") -> str:
    """Columns as wide as they need; the last is not padded. Numbers stand at the right of theirs."""
    texts = [tuple(str(cell) for cell in row) for row in rows]
    lines = [tuple(head), *texts]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    right = [bool(texts) and all(_number(row[i]) for row in texts) for i in range(len(head))]
    return "\n".join(
        indent
        + "  ".join(
            cell.rjust(width) if at_right else cell.ljust(width)
            for cell, width, at_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def _number(text: str) -> bool:
    return text.removesuffix(" ms").replace(",", "").replace(".", "", 1).lstrip("$").isdigit() or text == "-"


def diagnostics(found: Sequence[Diagnostic]) -> str:
    """Every problem on a line: severity, node, path, message and its code."""
    rows = [(d.severity, d.node_id or "-", d.path or "-", f"{d.message} [{d.code}]") for d in found]
    return table(("severity", "node", "path", "message"), rows)


def explained(name: str, found: Mapping[str, Any]) -> str:
    """What `stepfunctions.explain.explain` says."""
    apart = found["one_state_per_node"]
    segments = [
        (f"segment.{s['segment']}", "runner", " ".join(s["nodes"]), f"sets timers: {' '.join(s['timers'])}")
        if s["timers"]
        else (f"segment.{s['segment']}", "runner", " ".join(s["nodes"]), "")
        for s in found["segments"]
    ]
    turns = [
        (f"turn.{t['turn']}", "runner", " ".join(t["nodes"]), f"turns {t['node']}: which of its passes run next")
        for t in found["turns"]
    ]
    questions = [
        (f"question.{q['question']}", "tasks", " ".join(q["nodes"]), f"asks {q['node']}, {q['timeout_seconds']:,} s")
        for q in found["questions"]
    ]
    states = [(s["name"], s["type"], s["within"] or "-") for s in found["states"]]
    parts = [
        name,
        f"Tier: {found['tier']['name']}, since {found['tier']['why']}",
        "Calls\n" + table(("call", "function", "nodes", ""), [*turns, *segments, *questions], "  "),
        "States\n" + table(("state", "type", "within"), states, "  "),
        "A run, and what it would take with one state per node\n"
        + table(("", "this plan", "one per node"), _against(found, apart), "  "),
        _longest_path(found["longest_path"]),
        _assumptions(found),
    ]
    return "\n\n".join(parts)


def _against(found: Mapping[str, Any], apart: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    both = (found, apart)

    def row(label: str, values: Iterable[object]) -> tuple[str, str, str]:
        ours, other = values
        return label, _limit(ours), _limit(other)

    rows = [row("states", (len(found["states"]), apart["states"]))]
    rows += [row(f"transitions, {n}", (f["transitions"][n] for f in both)) for n in ("least", "expected", "most")]
    rows += [row(f"calls of {n}", (f["calls"][n] for f in both)) for n in ("runner", "tasks")]
    rows.append(row("write units", (found["writes"], "-")))
    money = "$ per 1,000 runs"
    return rows + [
        row(f"{n}, {money}", (f"{f['cost_per_1000_runs'][n]:.4f}" for f in both)) for n in found["cost_per_1000_runs"]
    ]


def _limit(value: object) -> str:
    return "no limit" if value is None else str(value)


def _longest_path(found: Mapping[str, Any]) -> str:
    return f"Longest path: states {found['states']:,}, calls {found['calls']:,}\n  {' → '.join(found['nodes'])}"


def _assumptions(found: Mapping[str, Any]) -> str:
    prices = table(
        ("price in us-east-1", "$"), [(n, f"{v:.10f}".rstrip("0").rstrip(".")) for n, v in found["prices"].items()]
    )
    assumed = table(("assumed", ""), found["assumed"].items())
    return f"{prices}\n\n{assumed}"
