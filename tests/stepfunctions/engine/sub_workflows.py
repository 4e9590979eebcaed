"""Workflows that run others, and what tests see of their runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared.clock import now_ms
from shared.errors import NotFound
from shared.runs.model import Run
from shared.workflows.model import Document
from stepfunctions.reconcile import sweep
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.watch import wait_for

Publish = Callable[[Document, str], str]  # gives the workflow's id

DOUBLE = document(
    [
        node("start", "manual_trigger"),
        node("twice", "transform", {"expression": "inputs.input * 2"}),
        node("out", "output"),
    ],
    "start.trigger -> twice.input; twice.output -> out.value",
)
ASKING = document(
    [node("start", "manual_trigger"), node("ask", "human_in_the_loop"), node("out", "output")],
    "start.trigger -> ask.input; ask.response -> out.value",
)
FAILING = document(
    [
        node("start", "manual_trigger"),
        node("break", "transform", {"expression": "$error('broken')"}),
        node("out", "output"),
    ],
    "start.trigger -> break.input; break.output -> out.value",
)


def calling(workflow_id: str, *more: dict[str, Any], wires: str = "", **config: Any) -> Document:
    """A workflow that hands what it gets to another one, and gives what that one gives."""
    fields = config.pop("fields", {})
    return document(
        [
            node("start", "manual_trigger"),
            node("call", "sub_workflow", {"workflow_id": workflow_id, **config}, **fields),
            node("out", "output"),
            *more,
        ],
        f"start.trigger -> call.input; call.output -> out.value; {wires}",
    )


def child_of(machines: Machines, run: Run, node_id: str = "call") -> Run:
    """The run that a node has started, once it is there."""
    record = wait_for(lambda: machines.records(run).get(("", node_id)), f"{node_id} is reached")
    return wait_for(lambda: _found(machines, record.child), "the child is started")


def _found(machines: Machines, execution_id: str) -> Run | None:
    try:
        return machines.store.get(execution_id)
    except NotFound:
        return None


def runs_of(machines: Machines, workflow_id: str) -> list[Run]:
    """A workflow's runs, newest first."""
    return [machines.store.shape(i) for i in machines.store.page(workflow_id, start=None, limit=100).items]


def failure(machines: Machines, run: Run) -> tuple[str, str]:
    """The error with which the run has failed, and its message."""
    ended = machines.until(run)
    assert ended.status == "failed", ended.status
    assert ended.error is not None
    return ended.error["error"], ended.error["message"]


def look_now(machines: Machines, parent: Run, child: Run) -> None:
    """Make the sweeper's next look at a child be now."""
    machines.store.look_at_child(parent.id, child.id, now_ms() - 1)


def swept() -> dict[str, int]:
    """What the sweeper has done."""
    return sweep(lambda: 60.0)
