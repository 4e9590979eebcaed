"""What happened in a run, node by node, for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, TextIO

from shared.clock import parse
from shared.runs.model import Run
from shared.tenancy import Tenant
from stepfunctions.console.text import table
from stepfunctions.engine.payloads import Value
from stepfunctions.history import execution_view
from stepfunctions.plan import Plan
from stepfunctions.start import payload_objects
from stepfunctions.transitions import passes_of, transitions

_SHOWN: Final = 100  # characters of a node's outputs
_HEAD: Final = ("node", "status", "start", "took", "outputs")


def show(tenant: Tenant, run: Run, plan: Plan, entered: int, to: TextIO) -> None:
    """Print the timeline of a run that has ended, its output, and the transitions that it took (`entered`)."""
    view = execution_view(tenant, run.id)
    nodes = sorted(view["node_executions"].items(), key=lambda n: n[1]["started_at"] or "~")  # all in UTC; none: last
    took = (run.completed_at or run.created_at) - run.created_at
    counted = transitions(plan.skeleton, passes_of(plan.nodes, plan.turns))
    most = "any number" if counted["most"] is None else counted["most"]
    print(f"{plan.name}: {run.status} after {took:,} ms\n", file=to)
    if nodes:
        print(table(_HEAD, [_row(run, node, seen) for node, seen in nodes]), file=to)
    if run.error is not None:
        print(f"\nerror  {_error(run.error)}", file=to)
    if run.final_output is not None:
        output = Value(encoded=run.final_output, objects=payload_objects(tenant)).get()
        print(f"\noutput\n{json.dumps(output, indent=2, ensure_ascii=False)}", file=to)
    print(f"\ntransitions  {entered} (explain: {counted['least']} to {most} in a run that completes)", file=to)


def _row(run: Run, node: str, seen: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    began, ended = seen["started_at"], seen["completed_at"]
    start = f"{parse(began) - run.created_at:,} ms" if began else "-"
    took = f"{parse(ended) - parse(began):,} ms" if began and ended else "-"
    return node, seen["status"], start, took, _outcome(seen)


def _outcome(seen: Mapping[str, Any]) -> str:
    """A node's outputs, shortened; how it failed; of a node in a loop, how often it ran."""
    parts = []
    if "iterations" in seen:
        parts.append(", ".join(f"{count} {what}" for what, count in seen["iterations"].items()))
    if seen["error"] is not None:
        parts.append(_error(seen["error"]))
    if seen["outputs"]:
        parts.append(json.dumps(seen["outputs"], ensure_ascii=False))
    return _short("; ".join(parts))


def _error(error: Mapping[str, Any]) -> str:
    node = f" in {error['node_id']}" if error.get("node_id") else ""
    return f"{error.get('error')}{node}: {error.get('message')}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
