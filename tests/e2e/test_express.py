"""Short runs on Express, over HTTP: they are waited for, and what Express does not finish goes on as Standard."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import httpx
import pytest

from infrastructure.local.stack import Stack
from shared.workflows.model import Document
from tests.e2e.behind import executions, log_of
from tests.e2e.caller import Caller, until
from tests.e2e.calling import calls, in_a_row, post, steps
from tests.echo_server import EchoServer
from tests.functions.api.workflows_over_http import node, workflow
from tests.stepfunctions.compiler.documents import document
from tests.stepfunctions.compiler.documents import node as a_node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]


def machines_of(local: Stack, run_id: str) -> list[str]:
    """`express` or `standard`, for each execution of the run."""
    found = [arn.rsplit(":", 2)[1] for arn in executions(local) if f":{run_id}-" in arn]
    return sorted("express" if "-express-" in name else "standard" for name in found)


def one_call(echo: EchoServer, mark: str, path: str, hook: dict[str, Any] | None = None) -> Document:
    start = a_node("start", "http_webhook", hook) if hook is not None else a_node("start", "manual_trigger")
    port = "body" if hook is not None else "trigger"
    nodes = [start, post(echo, "call", mark, path), a_node("out", "output")]
    return document(nodes, f"start.{port} -> call.body; call.status -> out.value")


def execute(caller: Caller, made: Document, seconds: float) -> httpx.Response:
    workflow_id = caller.store(made)
    return caller.http.post(f"/workflows/{workflow_id}/execute", json={"wait_seconds": seconds})


def test_a_webhook_answers_with_what_its_run_gives(mine: Caller, local: Stack) -> None:
    add = node("add", "transform", {"expression": "inputs.input + 1"})
    nodes = [node("hook", "http_webhook", {"response_mode": "last"}), add, node("out", "output")]
    workflow_id = mine.store(workflow(nodes, "hook.body -> add.input; add.output -> out.value"))
    explained = mine.get(f"/workflows/{workflow_id}/asl?explain=true")["explain"]
    assert explained["tier"]["name"] == "express"
    hook = mine.publish(workflow_id)["hook"]
    answer = httpx.post(hook["url"], json=41, timeout=60, trust_env=False)
    assert (answer.status_code, answer.json()) == (200, 42)
    (run,) = mine.get(f"/workflows/{workflow_id}/executions")["items"]
    assert machines_of(local, run["id"]) == ["express"]


def test_a_run_is_waited_for_and_no_longer_than_asked(mine: Caller, echo: EchoServer, local: Stack) -> None:
    done = execute(mine, one_call(echo, "waited", "/echo?"), 20)
    assert (done.status_code, done.json()["status"]) == (200, "completed")
    assert machines_of(local, done.json()["id"]) == ["express"]
    began = time.monotonic()
    held = execute(mine, one_call(echo, "not-waited", "/held?"), 1)
    assert (held.status_code, held.json()["status"]) == (202, "running")
    assert time.monotonic() - began < 10
    echo.release("not-waited")
    assert mine.until(held.json()["id"])["status"] == "completed"
    assert steps(echo, "not-waited") == ["call"]


def test_a_pause_and_what_follows(mine: Caller, echo: EchoServer, local: Stack) -> None:
    run_id = mine.start(in_a_row(echo, "express-pause"))
    until(lambda: "middle" in steps(echo, "express-pause"), every=0.02)
    mine.control(run_id, "pause")
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 0.3, every=0.05)  # the runner looks four times a second
    echo.release("express-pause")
    assert mine.until(run_id, "paused")["pause_reason"] == "requested"
    assert machines_of(local, run_id) == ["express", "standard"]
    mine.control(run_id, "resume")
    assert mine.until(run_id)["status"] == "completed"
    assert steps(echo, "express-pause") == ["before", "middle", "after"]

    def told() -> list[str]:
        lines = [json.loads(line) for line in log_of(local, "run_events") if run_id in line]
        return [line["status"] for line in lines if line["message"] == "event"]

    # An Express execution tells nobody that it has ended, or its run would be taken for failed.
    assert until(told, bool) == ["SUCCEEDED"]


@pytest.mark.slow
def test_a_killed_runner(mine: Caller, echo: EchoServer, local: Stack) -> None:
    run_id = mine.start(in_a_row(echo, "express-killed"))
    until(lambda: "middle" in steps(echo, "express-killed"), every=0.02)
    for pid in local.worker_pids("runner"):
        os.kill(pid, signal.SIGKILL)
    echo.release("express-killed")
    ended = mine.until(run_id)
    assert (ended["status"], ended["node_executions"]["middle"]["attempts"]) == ("completed", 2)
    assert steps(echo, "express-killed") == ["before", "middle", "middle", "after"]
    assert len({key for _, key in calls(echo, "express-killed")}) == 3
