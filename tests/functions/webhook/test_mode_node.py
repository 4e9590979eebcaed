"""Webhooks that a node of the run answers."""

from __future__ import annotations

import threading
import time

import pytest

from functions.webhook.handler import handler
from infrastructure.local import interpreter
from infrastructure.local.interpreter import Context
from shared.nodes.world import Response
from shared.runs.store import RunStore
from shared.settings import settings
from shared.store.table import TenantTable
from stepfunctions.responses import respond, responded
from tests import triggered
from tests.echo_server import serving
from tests.functions.webhook.answers import problem


def gateway(client, *nodes, connections=()):
    """A workflow whose webhook a node answers, and what else is behind the webhook."""
    body = {
        "name": "Gateway",
        "nodes": [triggered.webhook(response_mode="node"), *nodes],
        "connections": [
            {"id": f"c{n}", "source_node": a, "source_port": b, "target_node": c, "target_port": d}
            for n, (a, b, c, d) in enumerate(connections)
        ],
    }
    workflow = triggered.create(client, body)
    return workflow, triggered.publish(client, workflow)["hook"]


def answer_node(node_id="reply", **more):
    return {"id": node_id, "type": "webhook_response", **more}


def in_background(work):
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def one_run(client, workflow, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = triggered.executions(workflow, client)
        if found:
            return found[0]["id"]
        time.sleep(0.02)
    raise AssertionError("no run")


def test_the_node_answers_with_the_state_machine_running(api_client, outside):
    with interpreter.running():
        reply = answer_node(inputs={"status": 201, "headers": {"X-Order": "{{ trigger.body.id }}"}})
        _, hook = gateway(api_client, reply, connections=[("hook", "body", "reply", "body")])
        answer = outside.post(f"/hooks/{hook['id']}", json={"id": "A-17"})
    assert (answer.status_code, answer.json(), answer.headers["x-order"]) == (201, {"id": "A-17"}, "A-17")
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]


def test_the_answer_does_not_wait_for_what_comes_after_it(api_client, tenant, outside, monkeypatch):
    with serving() as slow, interpreter.running():
        monkeypatch.setenv("SW_ALLOWED_HOSTS", slow.host)
        settings.cache_clear()
        workflow, hook = gateway(
            api_client,
            answer_node(inputs={"body": "at once"}),
            {"id": "wait", "type": "delay", "config": {"ms": 4000}},
            connections=[("hook", "body", "reply", "body"), ("hook", "body", "wait", "input")],
        )
        answer = outside.post(f"/hooks/{hook['id']}", json={})
        run = RunStore(TenantTable(tenant)).get(one_run(api_client, workflow))
        assert answer.status_code == 200
        assert not run.ended


def test_the_first_answer_holds(api_client, tenant, outside):
    workflow, hook = gateway(api_client, answer_node())

    def work():
        run = one_run(api_client, workflow)
        respond(tenant, run, Response(200, {"Content-Type": "text/plain"}, b"first"))
        respond(tenant, run, Response(500, {}, b"second"))

    thread = in_background(work)
    first = outside.post(f"/hooks/{hook['id']}", headers={"Idempotency-Key": "d-1"})
    thread.join()
    assert (first.status_code, first.text) == (200, "first")
    again = outside.post(f"/hooks/{hook['id']}", headers={"Idempotency-Key": "d-1"})
    assert (again.status_code, again.text) == (200, "first")
    assert len(triggered.executions(workflow, api_client)) == 1


@pytest.mark.parametrize("body", [b"", b"\x89PNG\xff", "ü".encode() * 30_000])
def test_bodies_come_as_they_are(api_client, tenant, outside, body):
    workflow, hook = gateway(api_client, answer_node())
    thread = in_background(lambda: respond(tenant, one_run(api_client, workflow), Response(299, {"X-A": "b"}, body)))
    answer = outside.post(f"/hooks/{hook['id']}")
    thread.join()
    assert (answer.status_code, answer.content, answer.headers["x-a"]) == (299, body, "b")


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_run_that_ends_without_an_answer(api_client, tenant, outside, status):
    workflow, hook = gateway(api_client, answer_node())
    runs = RunStore(TenantTable(tenant))
    thread = in_background(lambda: runs.close(one_run(api_client, workflow), status))
    told = problem(outside.post(f"/hooks/{hook['id']}"), 502, "no_response")
    thread.join()
    assert told["execution_id"] == one_run(api_client, workflow)


def test_an_answer_just_before_the_end_is_not_missed(api_client, tenant, outside, monkeypatch):
    workflow, hook = gateway(api_client, answer_node())
    real = RunStore.get

    def get(store, execution_id, **more):
        """It answers and ends between two looks."""
        if execution_id.startswith("ex_"):
            respond(tenant, execution_id, Response(200, {}, b"late"))
            store.close(execution_id, "completed")
        return real(store, execution_id, **more)

    monkeypatch.setattr(RunStore, "get", get)
    assert outside.post(f"/hooks/{hook['id']}").text == "late"
    assert workflow


def test_a_run_that_does_not_answer_in_time(api_client, tenant):
    workflow, hook = gateway(api_client, answer_node())
    answer = handler(triggered.raw_event(f"/hooks/{hook['id']}"), Context(2.3))
    assert answer["statusCode"] == 504
    run = one_run(api_client, workflow)
    assert run in answer["body"]
    assert not RunStore(TenantTable(tenant)).get(run).ended
    respond(tenant, run, Response(200, {}, b"nobody waits"))  # no error
    assert responded(tenant, run).body == b"nobody waits"


def test_a_run_that_rests_is_not_waited_for(api_client, tenant, outside):
    workflow, hook = gateway(api_client, answer_node())
    runs = RunStore(TenantTable(tenant))
    thread = in_background(lambda: runs.rest(one_run(api_client, workflow), "human_input"))
    problem(outside.post(f"/hooks/{hook['id']}"), 504, "response_timeout")
    thread.join()


def test_the_answer_goes_with_the_run(api_client, tenant, outside):
    workflow, hook = gateway(api_client, answer_node())

    def work():
        run = one_run(api_client, workflow)
        respond(tenant, run, Response(200, {}, b"x"))

    thread = in_background(work)
    outside.post(f"/hooks/{hook['id']}")
    thread.join()
    run = one_run(api_client, workflow)
    RunStore(TenantTable(tenant)).delete(run)
    assert responded(tenant, run) is None
