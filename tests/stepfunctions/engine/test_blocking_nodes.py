"""Nodes that block a thread each."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from shared.nodes.base import Ended
from shared.resources.documents import WorkflowTool
from shared.resources.service import create
from shared.tenancy import Principal
from stepfunctions.short_runs import ShortRuns
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.engine.conftest import Bench

MANY = 24


def test_many_nodes_that_wait_for_short_runs_do_not_wait_for_each_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, owner: Any
):
    who = Principal(bench.tenant, "user", owner.user.id, "owner", user_id=owner.user.id)
    create(who, "tools", WorkflowTool(kind="workflow", name="flow", workflow_id="wf_1"))
    together = threading.Barrier(MANY)

    def meets(_self: ShortRuns, _workflow: str, _version: int | None, data: Any, **_more: Any) -> Ended:
        together.wait(20)
        return Ended("ex_2", "completed", data)

    monkeypatch.setattr(ShortRuns, "run", meets)
    callers = [node(f"n{i}", "function_call", inputs={"name": "flow", "args": {"n": i}}) for i in range(MANY)]
    run = bench.through(bench.start(document([node("start", "manual_trigger"), *callers])))
    assert (run.status, run.error) == ("completed", None)
