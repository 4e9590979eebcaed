"""AWS in trouble, as callers of the API see it: 503, with when to try again; and a repeat does the thing once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from shared.settings import settings
from tests.conftest import PASSWORD
from tests.functions.api.workflows_over_http import adder, created, made, problem
from tests.trouble import client_error, failing, throttled, unreachable

Json = dict[str, Any]
LARGE = {"trigger_data": {"a": 1, "b": "x" * 20_000}, "wait_seconds": 0}


@dataclass(frozen=True)
class Case:
    """A service in trouble, a POST that needs it, and the list in which what it makes is to stand once."""

    service: str
    error: Callable[[], Exception]
    path: str
    body: Json
    found: str
    operations: frozenset[str] = frozenset()
    needs: Callable[[httpx.Client], str] = field(default=lambda _: "")


def _workflow(client: httpx.Client) -> str:
    return created(client, adder())


def _published(client: httpx.Client) -> str:
    workflow_id = created(client, adder())
    made(client.post(f"/workflows/{workflow_id}/publish"))
    return workflow_id


WRITES = frozenset({"PutItem", "UpdateItem", "TransactWriteItems", "BatchWriteItem"})
KEY = {"name": "k", "role": "viewer"}
MAIL = {"name": "mail", "kind": "secret", "values": {"value": "long enough"}}
HOOK = {"url": "https://hooks.example/x", "events": ["execution_failed"]}
USER = {"email": "ada@first.example", "role": "viewer"}
CASES = {
    "DynamoDB unreachable": Case("dynamodb", unreachable, "/workflows", adder(), "/workflows"),
    "DynamoDB unreachable for transactions": Case(
        "dynamodb", unreachable, "/workflows", adder(), "/workflows", frozenset({"TransactWriteItems"})
    ),
    "DynamoDB throttled": Case("dynamodb", throttled, "/api-keys", KEY, "/api-keys", WRITES),
    "S3 slowed down, of a published plan": Case(
        "s3",
        lambda: client_error("SlowDown", status=503),
        "/workflows/{id}/publish",
        {},
        "/workflows/{id}/versions",
        needs=_workflow,
    ),
    "S3 slowed down, of a large value": Case(
        "s3",
        lambda: client_error("SlowDown"),
        "/workflows/{id}/execute",
        LARGE,
        "/workflows/{id}/executions",
        needs=_published,
    ),
    "KMS throttled": Case("kms", throttled, "/credentials", MAIL, "/credentials"),
    "KMS throttled, of a signing secret": Case(
        "kms", throttled, "/webhook-subscriptions", HOOK, "/webhook-subscriptions"
    ),
    "Step Functions throttled": Case(
        "stepfunctions", throttled, "/workflows/{id}/publish", {}, "/workflows/{id}/versions", needs=_workflow
    ),
    "Step Functions unreachable": Case(
        "stepfunctions", unreachable, "/workflows/{id}/publish", {}, "/workflows/{id}/versions", needs=_workflow
    ),
    "Cognito throttled": Case(
        "cognito-idp", lambda: client_error("TooManyRequestsException"), "/users", USER, "/users?limit=200"
    ),
    "Cognito unreachable": Case("cognito-idp", unreachable, "/users", USER, "/users?limit=200"),
}


def _unavailable(answer: httpx.Response) -> None:
    told = problem(answer, 503)
    assert answer.headers["retry-after"] == "1"
    assert "try again" in told["detail"] or "repeat" in told["detail"]
    assert "hush" not in answer.text


@pytest.mark.parametrize("name", CASES)
def test_is_unavailable_and_a_repeat_does_it_once(api_client, name):
    case = CASES[name]
    needed = case.needs(api_client)
    path, found = case.path.format(id=needed), case.found.format(id=needed)
    before = len(made(api_client.get(found))["items"])
    key = {"Idempotency-Key": "one"}
    with failing(case.service, case.error(), case.operations) as failed:
        _unavailable(api_client.post(path, json=case.body, headers=key))
    assert failed
    for _ in range(2):
        made(api_client.post(path, json=case.body, headers=key))
    assert len(made(api_client.get(found))["items"]) == before + 1


@pytest.mark.parametrize("error", [client_error("AccessDenied", status=403), throttled(), unreachable()])
def test_the_data_role_cannot_be_had(api_client, monkeypatch, error):
    monkeypatch.setenv("SW_TENANT_ROLE_ARN", "arn:aws:iam::123456789012:role/sw-test-data")
    settings.cache_clear()
    with failing("sts", error) as failed:
        _unavailable(api_client.post("/workflows", json=adder()))
    assert failed
    monkeypatch.delenv("SW_TENANT_ROLE_ARN")
    settings.cache_clear()
    assert made(api_client.get("/workflows"))["items"] == []


@pytest.mark.parametrize("service", ["dynamodb", "cognito-idp"])
def test_who_signs_up_may_do_so_again(public_client, service):
    body = {"name": "New", "owner": {"email": "new@new.example", "password": PASSWORD}}
    steps = {"dynamodb": {"TransactWriteItems", "PutItem"}, "cognito-idp": {"AdminSetUserPassword"}}[service]
    with failing(service, throttled(), steps) as failed:
        _unavailable(public_client.post("/tenants", json=body))
    assert failed
    made(public_client.post("/tenants", json=body))


def test_a_run_that_cannot_be_launched_now_is_taken_all_the_same(api_client):
    workflow_id = _published(api_client)
    with failing("stepfunctions", unreachable(), {"StartExecution"}) as failed:
        run = made(api_client.post(f"/workflows/{workflow_id}/execute", json={"trigger_data": {"a": 1}}))
    assert failed
    assert run["status"] == "pending"


def test_a_key_that_was_made_is_shown_although_its_answer_cannot_be_kept(api_client):
    key = {"Idempotency-Key": "one"}
    with failing("kms", throttled(), {"Encrypt"}):
        text = made(api_client.post("/api-keys", json=KEY, headers=key))["key"]
    assert text.startswith("sw_")
    problem(api_client.post("/api-keys", json=KEY, headers=key), 409, "idempotency_not_kept")
    assert [k["name"] for k in made(api_client.get("/api-keys"))["items"]].count("k") == 1


def test_the_log_says_what_aws_said(api_client, capsys):
    with failing("s3", client_error("SlowDown")):
        _unavailable(api_client.get("/files"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (told,) = [line for line in lines if line["message"] == "unavailable"]
    assert told["error"] == "ClientError"
    assert "hush" not in json.dumps(lines)
