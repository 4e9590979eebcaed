import json
import threading
import time

import pytest

from functions.webhook.handler import handler
from infrastructure.local import interpreter
from infrastructure.local.interpreter import Context
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from stepfunctions import start as starting
from tests import triggered
from tests.functions.webhook.answers import problem


def ends(tenant, workflow: str, api_client, change) -> threading.Thread:
    """Wait for the workflow's run in the background, and change it."""

    def work() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = triggered.executions(workflow, api_client)
            if found:
                change(RunStore(TenantTable(tenant)), found[0]["id"])
                return
            time.sleep(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def last(api_client):
    workflow = triggered.create(api_client, triggered.document(triggered.webhook(response_mode="last")))
    return workflow, triggered.publish(api_client, workflow)["hook"]


@pytest.mark.parametrize("value", [{"a": [1, "ü", None]}, "text", None, 0, "x" * 100_000])
def test_mode_last_answers_with_the_final_output(api_client, tenant, outside, value):
    workflow, hook = last(api_client)
    stored = starting.Value(value).store(starting.payload_objects(tenant))
    thread = ends(tenant, workflow, api_client, lambda runs, e: runs.close(e, "completed", final_output=stored))
    answer = outside.post(f"/hooks/{hook['id']}")
    thread.join()
    assert (answer.status_code, answer.json()) == (200, value)
    assert answer.headers["content-type"] == "application/json"


def test_mode_last_with_the_state_machine_running(api_client, outside):
    with interpreter.running():
        _, hook = last(api_client)
        answer = outside.post(f"/hooks/{hook['id']}", json={"n": [1, 2]})
    assert (answer.status_code, answer.json()) == (200, {"n": [1, 2]})


def test_mode_last_without_an_output_answers_null(api_client, tenant, outside):
    workflow, hook = last(api_client)
    thread = ends(tenant, workflow, api_client, lambda runs, e: runs.close(e, "completed"))
    assert outside.post(f"/hooks/{hook['id']}").json() is None
    thread.join()


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_mode_last_names_a_failed_run_and_no_internals(api_client, tenant, outside, status):
    workflow, hook = last(api_client)
    error = {"node_id": "x", "error": "HttpError", "message": "a secret detail"}
    thread = ends(tenant, workflow, api_client, lambda runs, e: runs.close(e, status, error=error))
    answer = outside.post(f"/hooks/{hook['id']}")
    thread.join()
    body = problem(answer, 502, f"run_{status}")
    assert body["execution_id"] == triggered.executions(workflow, api_client)[0]["id"]
    assert "secret" not in answer.text
    assert "HttpError" not in answer.text


def test_mode_last_says_where_a_run_is_that_rests_on_a_person(api_client, tenant, outside):
    workflow, hook = last(api_client)
    thread = ends(tenant, workflow, api_client, lambda runs, e: runs.rest(e, "human_input"))
    answer = outside.post(f"/hooks/{hook['id']}")
    thread.join()
    assert answer.status_code == 202
    assert answer.json()["status"] == "paused"


def test_mode_last_answers_before_the_functions_time_is_over(api_client):
    _, hook = last(api_client)
    answer = handler(triggered.raw_event(f"/hooks/{hook['id']}"), Context(2.3))
    assert answer["statusCode"] == 202
    assert json.loads(answer["body"])["status"] == "pending"


def test_mode_last_refuses_an_answer_that_lambda_would_not_pass_on(api_client, tenant, outside):
    workflow, hook = last(api_client)
    stored = starting.Value("x" * 5_600_000).store(starting.payload_objects(tenant))
    thread = ends(tenant, workflow, api_client, lambda runs, e: runs.close(e, "completed", final_output=stored))
    problem(outside.post(f"/hooks/{hook['id']}"), 502, "answer_too_large")
    thread.join()
