"""The generated client and its friendly face, over the real Lambda handler."""

from __future__ import annotations

import io
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import httpx
import pytest

from infrastructure.local.interpreter import running
from tests import http_api
from tests.client.built import body, operation, statewright
from tests.functions.api.workflows_over_http import adder, created
from tests.shared.tasks.asking import a_task


@pytest.fixture
def sw(owner):
    package = statewright()
    with package.Statewright("http://api.test", api_key=owner.key_text, transport=http_api.LambdaTransport()) as made:
        yield made


def test_operations_are_typed(sw, api_client):
    workflow = created(api_client, adder())
    found = sw.call(operation("workflows.workflows_get"), workflow)
    assert (found.id, found.name) == (workflow, api_client.get(f"/workflows/{workflow}").json()["name"])
    made = sw.call(operation("user_types.user_types_create"), body=body("UserTypeIn", {"name": "Clerk"}))
    assert made.name == "Clerk"


def test_a_refusal_is_an_exception_that_names_what_was_wrong(sw):
    problem = statewright().Problem
    with pytest.raises(problem) as caught:
        sw.call(operation("workflows.workflows_get"), "wf_nobody")
    assert (caught.value.status, caught.value.code) == (404, "not_found")
    with pytest.raises(problem) as caught:
        sw.call(operation("user_types.user_types_create"), body=body("UserTypeIn", {"name": ""}))
    assert [e["path"] for e in caught.value.errors] == ["name"]


@pytest.mark.parametrize("status", [429, 502, 503])
@pytest.mark.parametrize("text", ["<html>", '{"message":"Service Unavailable"}'])
def test_an_answer_that_is_no_problem_document_is_one_all_the_same(status, text):
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, text=text))  # what stands before the API
    package = statewright()
    with (
        package.Statewright("http://api.test", token="t", transport=transport) as other,
        pytest.raises(package.Problem) as caught,
    ):
        other.call(operation("workflows.workflows_get"), "wf_1")
    assert caught.value.status == status


def test_a_body_that_may_be_left_out_may_be_left_out(sw, api_client):
    workflow = created(api_client, adder())
    assert sw.call(operation("workflows.workflows_publish"), workflow).version == 1
    assert sw.call(operation("workflows.workflows_copy"), workflow).id != workflow


def test_yaml_goes_in_as_it_is(sw):
    from statewright.types import File

    text = b"name: Sum\nnodes:\n- {id: start, type: manual_trigger}\nconnections: []\n"
    assert sw.call(operation("exports.exports_take_in"), body=File(io.BytesIO(text))).name == "Sum"


def test_lists_go_on_by_themselves(sw, api_client):
    ids = [created(api_client, adder()) for _ in range(5)]
    found = sw.pages(operation("workflows.workflows_list_all"), limit=2)
    assert [w.id for w in found] == sorted(ids, reverse=True)


def test_runs_are_waited_for_and_started_once_for_a_key(sw, api_client):
    workflow = created(api_client, adder())
    with running():
        run = sw.execute(workflow, {"a": 1, "b": 2}, key="once")
        assert run.status == "completed"
        assert sw.execute(workflow, {"a": 1, "b": 2}, key="once").id == run.id


def test_what_does_not_end_in_time_goes_on(sw, api_client):
    workflow = created(api_client, adder())  # no machine runs in this test
    with pytest.raises(statewright().TimedOut, match=r"after 0\.2 s") as caught:
        sw.execute(workflow, {}, seconds=0.2)
    assert caught.value.run.status == "pending"


def test_a_run_is_looked_at_once_more_when_the_time_is_over(sw, api_client):
    workflow = created(api_client, adder())
    began = time.monotonic()
    with pytest.raises(statewright().TimedOut) as caught:
        sw.wait(sw.call(operation("executions.executions_execute"), workflow).id, seconds=0.6)
    assert (caught.value.run.status, time.monotonic() - began > 0.6) == ("pending", True)


def test_tasks_are_answered(sw, tenant):
    task = a_task(tenant)
    assert [t.id for t in sw.open_tasks()] == [task]
    assert sw.answer(task, "approve", comment="fine").status == "completed"
    assert sw.open_tasks() == []


def test_one_credential_is_needed():
    for wrong in ({}, {"api_key": "k", "token": "t"}):
        with pytest.raises(ValueError, match="either"):
            statewright().Statewright("http://api.test", **wrong)


@pytest.mark.slow
def test_a_wheel_of_it_can_be_installed(tmp_path):
    command = [sys.executable, "-m", "infrastructure.client", "--wheel", str(tmp_path / "client")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    made = Path(done.stdout.strip())
    assert made.name.startswith("statewright_client-")  # the product itself is `statewright`
    with zipfile.ZipFile(made) as wheel:
        names = wheel.namelist()
    assert {"statewright/face.py", "statewright/client.py", "statewright/py.typed"} <= set(names)
