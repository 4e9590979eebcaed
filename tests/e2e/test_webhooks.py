"""Webhooks, over real HTTP."""

from __future__ import annotations

import hashlib
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.caller import Caller, Json, until
from tests.functions.api.workflows_over_http import node, workflow

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
GITHUB = {"auth": "hmac", "preset": "github"}


def giving(expression: str = "trigger", **config: Any) -> Json:
    """A workflow that a webhook starts, and that gives this."""
    nodes = [node("hook", "http_webhook", config), node("give", "transform", {"expression": expression})]
    return workflow([*nodes, node("out", "output")], "hook.body -> give.input; give.output -> out.value")


def hook_of(caller: Caller, **config: Any) -> Json:
    """The published webhook of a new workflow that gives what it was started with; `workflow_id` is the workflow's."""
    workflow_id = caller.store(giving(**config))
    return {**caller.publish(workflow_id)["hook"], "workflow_id": workflow_id}


def signed(secret: str, body: bytes, delivery: str = "d-1") -> dict[str, str]:
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-Hub-Signature-256": f"sha256={signature}",
        "X-GitHub-Delivery": delivery,
    }


def post(url: str, body: Any = None, headers: dict[str, str] | None = None, method: str = "POST") -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = headers or {"Content-Type": "application/json"}
    return httpx.request(method, url, content=content, headers=headers, timeout=60, trust_env=False)


def runs_of(caller: Caller, workflow_id: str) -> list[Json]:
    found: list[Json] = caller.get(f"/workflows/{workflow_id}/executions")["items"]
    return found


def problem(answer: httpx.Response, status: int) -> Json:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: Json = answer.json()
    return found


def test_many_deliveries_of_one_event_at_once_start_one_run(mine: Caller) -> None:
    hook = hook_of(mine, **GITHUB)
    body = '{"action": "opened", "title": "Größe — naïve ☃"}'.encode()
    headers = signed(hook["secret"], body)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: post(hook["url"], body, headers), range(10)))
    assert {a.status_code for a in answers} == {202}
    assert len({a.json()["execution_id"] for a in answers}) == 1
    run = mine.until(answers[0].json()["execution_id"])
    assert run["status"] == "completed"
    assert run["triggered_by"]["kind"] == "webhook"
    assert [r["id"] for r in runs_of(mine, hook["workflow_id"])] == [run["id"]]
    given = run["final_output"]
    assert given["body"] == json.loads(body)
    assert not {"x-hub-signature-256", "authorization"} & set(given["headers"])
    # Late, when the run has long ended, it is still the same; another event is another run.
    assert post(hook["url"], body, headers).json()["execution_id"] == run["id"]
    other = post(hook["url"], body, signed(hook["secret"], body, "d-2")).json()["execution_id"]
    assert other != run["id"]
    mine.until(other)
    assert len(runs_of(mine, hook["workflow_id"])) == 2


def test_what_is_not_signed_right_is_refused(mine: Caller) -> None:
    hook = hook_of(mine, **GITHUB)
    body = b'{"amount": 1}'
    good = signed(hook["secret"], body)
    wrong = [
        signed("another secret", body),
        {**good, "X-Hub-Signature-256": "sha256=" + "0" * 64},
        {k: v for k, v in good.items() if k != "X-Hub-Signature-256"},
        {**good, "X-Hub-Signature-256": good["X-Hub-Signature-256"].removeprefix("sha256=")},
    ]
    for headers in wrong:
        assert problem(post(hook["url"], body, headers), 401)["code"] == "unauthorized"
    problem(post(hook["url"], b'{"amount": 100}', good), 401)
    assert runs_of(mine, hook["workflow_id"]) == []
    mine.until(post(hook["url"], body, good).json()["execution_id"])


def test_a_rotated_secret_replaces_the_old_one(mine: Caller) -> None:
    hook = hook_of(mine, **GITHUB)
    body = b"{}"
    fresh = mine.post(f"/webhooks/{hook['id']}/rotate", {"grace_seconds": 0}, 200)["secret"]
    problem(post(hook["url"], body, signed(hook["secret"], body)), 401)
    assert post(hook["url"], body, signed(fresh, body)).status_code == 202


def test_mode_last_answers_with_the_final_output(mine: Caller) -> None:
    hook = hook_of(mine, response_mode="last", methods=["POST", "GET"])
    answer = post(f"{hook['url']}/orders/7?x=1&x=2", {"amount": 3})
    assert answer.status_code == 200, answer.text
    given = answer.json()
    assert (given["body"], given["query"], given["method"]) == ({"amount": 3}, {"x": ["1", "2"]}, "POST")
    assert given["path"] == "/orders/7"
    answer = httpx.get(hook["url"], timeout=60, trust_env=False)
    assert (answer.status_code, answer.json()["body"], answer.json()["method"]) == (200, None, "GET")


def test_mode_last_tells_of_a_failure_without_its_data(mine: Caller) -> None:
    workflow_id = mine.store(giving("$number(trigger.body.secret)", response_mode="last"))
    answer = post(mine.publish(workflow_id)["hook"]["url"], {"secret": "rosebud"})
    assert problem(answer, 502)["code"] == "run_failed"
    assert "rosebud" not in answer.text


def test_the_test_address_runs_the_draft(mine: Caller) -> None:
    workflow_id = mine.store(giving("'live'", response_mode="last"))
    published = mine.publish(workflow_id)["hook"]
    draft = giving("'draft of ' & trigger.body.name", response_mode="last")
    assert mine.send("PUT", f"/workflows/{workflow_id}", draft).status_code == 200
    assert post(published["test_url"], {"name": "Ada"}).json() == "draft of Ada"
    assert post(published["url"], {"name": "Ada"}).json() == "live"
    assert {r["version"] for r in runs_of(mine, workflow_id)} == {0, 1}


def test_what_no_webhook_takes(mine: Caller) -> None:
    hook = hook_of(mine)
    base = hook["url"].rpartition("/")[0]
    for unknown in ("nothing", "wh_01ARZ3NDEKTSV4RRFFQ69G5FAV", "%00", "..%2F..", "x" * 300):
        problem(post(f"{base}/{unknown}", {}), 404)
    refused = post(hook["url"], {}, method="PUT")
    problem(refused, 405)
    assert refused.headers["allow"] == "POST"
    problem(post(hook["url"], b'{"x": "' + b"y" * 1_048_576 + b'"}'), 413)
    problem(post(hook["url"], b"{"), 400)
    assert runs_of(mine, hook["workflow_id"]) == []
    just = json.dumps("y" * (1_048_576 - 2)).encode()
    run_id = post(hook["url"], just).json()["execution_id"]
    assert mine.until(run_id)["status"] == "completed"


def test_an_unpublished_webhook_is_gone(mine: Caller) -> None:
    hook = hook_of(mine)
    assert post(hook["url"], {}).status_code == 202
    mine.post(f"/workflows/{hook['workflow_id']}/unpublish", {}, 200)
    until(lambda: post(hook["url"], {}).status_code, lambda status: status == 404, seconds=10)
