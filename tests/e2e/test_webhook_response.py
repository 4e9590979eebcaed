"""A workflow as the implementation of an HTTP API: its nodes answer the webhook's calls, on the local AWS."""

from __future__ import annotations

import time

import httpx
import pytest

from infrastructure.local.stack import Stack
from tests.e2e.caller import Caller, Json
from tests.echo_server import EchoServer
from tests.functions.api.workflows_over_http import node, workflow

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]


def gateway() -> Json:
    """Answers at once with 201 or 422, and goes on for two seconds."""
    made = workflow(
        [
            node("hook", "http_webhook", {"response_mode": "node", "methods": ["POST", "PUT"]}),
            node("good", "condition", {"condition": "$exists(trigger.body.name)"}),
            node("yes", "webhook_response", {"status": 201}),
            node("no", "webhook_response", {"status": 422}),
            node("later", "delay", {"ms": 3000}),
            node("out", "output"),
        ],
        """hook.body -> good.input; good.true -> yes.body; good.false -> no.body;
        hook.method -> later.input; later.output -> out.value""",
    )
    made["nodes"][2]["inputs"] = {"headers": {"Location": "/customers/{{ trigger.body.name }}"}}
    return made


def call(url: str, body: Json, **headers: str) -> httpx.Response:
    return httpx.post(url, json=body, headers=headers, trust_env=False, timeout=60)


def test_a_node_answers_and_the_run_goes_on(mine: Caller, local: Stack) -> None:
    workflow_id = mine.store(gateway())
    url = mine.publish(workflow_id)["hook"]["url"]
    began = time.monotonic()
    answer = call(url, {"name": "ada"}, **{"Idempotency-Key": "c-1"})
    took = time.monotonic() - began
    (run,) = mine.get(f"/workflows/{workflow_id}/executions")["items"]
    assert (answer.status_code, answer.json(), answer.headers["location"]) == (201, {"name": "ada"}, "/customers/ada")
    assert answer.headers["content-security-policy"] == "sandbox"
    assert run["status"] in ("running", "paused", "pending"), took
    assert mine.until(run["id"])["status"] == "completed"
    # A repeat of the delivery: the same answer, and no other run.
    again = call(url, {"name": "ada"}, **{"Idempotency-Key": "c-1"})
    assert (again.status_code, again.json()) == (201, {"name": "ada"})
    assert len(mine.get(f"/workflows/{workflow_id}/executions")["items"]) == 1
    refused = call(url, {"nickname": "x"})
    assert (refused.status_code, refused.json()) == (422, {"nickname": "x"})
    assert local.outputs


def test_a_run_that_does_not_answer(mine: Caller) -> None:
    hook = node("hook", "http_webhook", {"response_mode": "node"})
    silent = workflow([hook, node("out", "output")], "hook.body -> out.value")
    url = mine.publish(mine.store(silent))["hook"]["url"]
    answer = call(url, {})
    assert (answer.status_code, answer.json()["code"]) == (502, "no_response")


def test_a_short_run_answers_before_it_is_over(mine: Caller, echo: EchoServer) -> None:
    """It is an Express execution, for whose end nobody waits."""
    short = workflow(
        [
            node("hook", "http_webhook", {"response_mode": "node"}),
            node("reply", "webhook_response", {"content_type": "text/html"}, inputs={"body": "<p>Thanks</p>"}),
            node("slow", "http_request", inputs={"url": f"{echo.base}/slow?s=4"}),
            node("out", "output"),
        ],
        "hook.method -> reply.status; hook.body -> slow.body; slow.status -> out.value",
    )
    short["connections"] = short["connections"][1:]
    workflow_id = mine.store(short)
    url = mine.publish(workflow_id)["hook"]["url"]
    assert mine.get(f"/workflows/{workflow_id}/asl?explain=true")["explain"]["tier"]["name"] == "express"
    answer = call(url, {})
    (run,) = mine.get(f"/workflows/{workflow_id}/executions")["items"]
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, "<p>Thanks</p>", "text/html")
    assert run["status"] == "running"
    assert mine.until(run["id"])["final_output"] == 200
