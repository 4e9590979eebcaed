"""Waiting for what a run on the interpreter comes to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from shared.aws import states
from shared.runs.model import Run
from shared.tasks.service import TaskService
from shared.tenancy import Principal
from tests.stepfunctions.conftest import Machines


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """What the condition gives, once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)
    return found


def state_of(machines: Machines, run: Run) -> tuple[str, str | None]:
    found = machines.store.get(run.id)
    return found.status, found.pause_reason


def comes_to(machines: Machines, run: Run, status: str, reason: str | None = None) -> Run:
    """The run, once it is in this state."""
    wait_for(lambda: state_of(machines, run) == (status, reason), f"{status} {reason}")
    return machines.store.get(run.id)


def parked(machines: Machines, run: Run) -> list[str]:
    return [state for state, _ in machines.store.parked(run.id)]


def execution_ends(machines: Machines, run: Run) -> str:
    """How the state machine's execution of the run's current attempt ended."""
    now = machines.store.get(run.id)

    def status() -> str:
        found = states.describe_execution(now.machine, now.execution_name)
        return "" if found is None or found["status"] == "RUNNING" else found["status"]

    return str(wait_for(status, "the execution ends"))


def answer(machines: Machines, run: Run, user_id: str, node_id: str, decision: str = "approve") -> None:
    """Answer a question as this user, once it is asked."""
    task = wait_for(lambda: machines.open_tasks(run).get(node_id), f"{node_id} is asked")
    somebody = Principal(machines.tenant, "user", user_id, "owner", user_id=user_id)
    TaskService(machines.tenant).complete(somebody, task.id, decision=decision, data={}, comment=None)
