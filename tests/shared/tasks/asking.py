"""Runs and tasks as the engine leaves them in the table."""

from __future__ import annotations

from typing import Any

from shared.clock import now_ms
from shared.ids import new_id
from shared.nodes.base import Asked
from shared.runs.model import Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tasks.service import TaskService
from shared.tenancy import Tenant

TOKEN = "AQB4AAAAKgAAAAMAAAAA-a-task-token-that-nobody-may-see"
FORM = {
    "type": "object",
    "properties": {"reason": {"type": "string", "minLength": 3}, "amount": {"type": "number", "maximum": 100}},
    "required": ["reason"],
    "additionalProperties": False,
}


def a_run(tenant: Tenant, **fields: Any) -> Run:
    """A run that has just been asked for."""
    now = now_ms()
    values: dict[str, Any] = {
        "id": new_id("ex"),
        "workflow_id": new_id("wf"),
        "version": 1,
        "plan": "p",
        "machine": "m",
        "status": "pending",
        "trigger_node": None,
        "trigger": {"v": {}},
        "triggered_by": {"kind": "test", "id": None, "user": None},
        "created_at": now,
        "deadline": now + 86_400_000,
    }
    run = Run(**{**values, **fields})
    RunStore(TenantTable(tenant)).create(run)
    return run


def asked(**fields: Any) -> Asked:
    """A question."""
    values: dict[str, Any] = {
        "title": "Refund 250?",
        "instructions": "Look at the order first.",
        "form": None,
        "assignees": (),
        "timeout_seconds": 3600,
        "data": {"amount": 250},
    }
    return Asked(**{**values, **fields})


def a_task(tenant: Tenant, run: Run | None = None, *, token: str = TOKEN, **fields: Any) -> str:
    """The id of an open task of a (new) run."""
    run = run or a_run(tenant)
    task_id = new_id("tk")
    assert TaskService(tenant).desk(run.id).open(task_id, "ask", asked(**fields), token)
    return task_id
