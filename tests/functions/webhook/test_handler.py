import base64
import hashlib
import hmac
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.webhook.handler import handler
from infrastructure.local.interpreter import Context
from shared import limits
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from stepfunctions import start as starting
from tests import triggered
from tests.functions.webhook.answers import problem
from tests.shared.usage.allowing import allow

GITHUB = {"auth": "hmac", "preset": "github"}


def signature(hook, body: bytes) -> dict[str, str]:
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(hook["secret"].encode(), body, hashlib.sha256).hexdigest()}


def deliver(outside, hook, body=b'{"n": 1}', kind="hooks", **headers):
    headers = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return outside.post(f"/{kind}/{hook['id']}", content=body, headers=headers | signature(hook, body))


def run_of(tenant, answer):
    return RunStore(TenantTable(tenant)).get(answer.json()["execution_id"])


def trigger_of(tenant, answer):
    run = run_of(tenant, answer)
    return starting.Value(encoded=run.trigger, objects=starting.payload_objects(tenant)).get()


def without_request_id(answer):
    return {k: v for k, v in answer.json().items() if k != "request_id"}


def test_a_signed_delivery_starts_the_published_version(api_client, tenant, outside):
    hook = triggered.published(api_client, triggered.webhook(**GITHUB))["hook"]
    body = b'{"action": "opened", "n": 1.50}'
    answer = outside.post(
        f"/hooks/{hook['id']}/a/b?x=1&x=2",
        content=body,
        headers={"Content-Type": "application/json", "Cookie": "c=1", "X-Custom": "kept", **signature(hook, body)},
    )
    assert answer.status_code == 202, answer.text
    run = run_of(tenant, answer)
    assert (run.status, run.version, run.trigger_node) == ("pending", 1, "hook")
    assert run.triggered_by == {"kind": "webhook", "id": hook["id"], "user": None}
    data = trigger_of(tenant, answer)
    headers = data.pop("headers")
    expected = {"body": {"action": "opened", "n": 1.5}, "query": {"x": ["1", "2"]}, "method": "POST", "path": "/a/b"}
    assert data == expected
    assert headers["x-custom"] == "kept"
    assert not {"cookie", "x-hub-signature-256"} & set(headers)


def test_the_signature_is_over_the_raw_bytes(api_client, tenant, outside):
    hook = triggered.published(api_client, triggered.webhook(**GITHUB))["hook"]
    body = bytes(range(256)) * 3
    answer = deliver(outside, hook, body, Content_Type="application/octet-stream")
    assert answer.status_code == 202, answer.text
    assert base64.b64decode(trigger_of(tenant, answer)["body"]) == body
    changed = outside.post(f"/hooks/{hook['id']}", content=body + b"\n", headers=signature(hook, body))
    problem(changed, 401)


def test_a_large_body_passes_unharmed(api_client, tenant, outside):
    hook = triggered.published(api_client, triggered.webhook())["hook"]
    text = "ü" * 500_000
    answer = outside.post(f"/hooks/{hook['id']}", content=text.encode(), headers={"Content-Type": "text/plain"})
    assert answer.status_code == 202, answer.text
    assert trigger_of(tenant, answer)["body"] == text


UNKNOWN = [
    "wh_" + "a" * 32,
    "wh_",
    "x",
    "wh_%00",
    "%2E%2E",
    "%F0%9F%A6%8A",
    "wh_" + "a" * 5000,
    "wh_" + "A" * 32,
    "%23",
    "META",
]


def test_whatever_is_unknown_looks_the_same(api_client, outside):
    gone = triggered.create(api_client, triggered.document(triggered.webhook()))
    hook = triggered.publish(api_client, gone)["hook"]
    seen = [without_request_id(outside.post(f"/hooks/{name}", content=b"{")) for name in UNKNOWN]
    api_client.post(f"/workflows/{gone}/unpublish")
    seen.append(without_request_id(outside.post(f"/hooks/{hook['id']}")))
    api_client.delete(f"/workflows/{gone}")
    seen.append(without_request_id(outside.post(f"/hooks/{hook['id']}")))
    seen.append(without_request_id(outside.post(f"/hooks-test/{hook['id']}")))
    assert seen[0]["status"] == 404
    assert all(answer == seen[0] for answer in seen)


def test_a_node_that_is_disabled_or_gone_is_unknown(api_client, outside):
    workflow = triggered.create(api_client, triggered.document(triggered.webhook(), triggered.schedule()))
    hook = triggered.publish(api_client, workflow)["hook"]
    disabled = {**triggered.webhook(), "disabled": True}
    again = triggered.republish(api_client, workflow, triggered.document(disabled, triggered.schedule()))["hook"]
    assert again["id"] == hook["id"]
    problem(outside.post(f"/hooks/{hook['id']}"), 404)
    back = triggered.republish(api_client, workflow, triggered.document(triggered.webhook(), triggered.schedule()))
    assert back["hook"]["id"] == hook["id"]
    assert outside.post(f"/hooks/{hook['id']}").status_code == 202
    triggered.republish(api_client, workflow, triggered.document(triggered.schedule()))
    problem(outside.post(f"/hooks/{hook['id']}"), 404)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "NONSENSE"])
def test_a_method_that_is_not_allowed(api_client, outside, method):
    hook = triggered.published(api_client, triggered.webhook(methods=["POST"], **GITHUB))["hook"]
    answer = outside.request(method, f"/hooks/{hook['id']}")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_the_methods_of_the_node_are_allowed(api_client, tenant, outside):
    hook = triggered.published(api_client, triggered.webhook(methods=["GET", "PUT"]))["hook"]
    assert trigger_of(tenant, outside.get(f"/hooks/{hook['id']}"))["method"] == "GET"
    assert outside.put(f"/hooks/{hook['id']}").status_code == 202
    assert outside.post(f"/hooks/{hook['id']}").headers["allow"] == "GET, PUT"


@pytest.mark.parametrize(
    ("config", "headers", "challenge"),
    [
        (GITHUB, {}, "Signature"),
        (GITHUB, {"X-Hub-Signature-256": "sha256=" + "0" * 64}, "Signature"),
        ({"auth": "hmac"}, {"X-Signature": ""}, "Signature"),
        ({"auth": "hmac", "preset": "stripe"}, {"Stripe-Signature": "t=1,v1=00"}, "Signature"),
        ({"auth": "hmac", "preset": "slack"}, {"X-Slack-Request-Timestamp": "1"}, "Signature"),
        ({"auth": "bearer"}, {"Authorization": "Bearer x"}, "Bearer"),
        ({"auth": "basic"}, {"Authorization": "Basic eDp5"}, 'Basic realm="webhook"'),
        ({"auth": "basic"}, {}, 'Basic realm="webhook"'),
    ],
)
def test_what_is_not_proven_is_refused_without_a_reason(api_client, outside, config, headers, challenge):
    """Malformed as the body is: nobody who has not proven themselves is told about it."""
    hook = triggered.published(api_client, triggered.webhook(**config))["hook"]
    answer = outside.post(f"/hooks/{hook['id']}", content=b"{", headers=headers | {"Content-Type": "application/json"})
    assert problem(answer, 401, "unauthorized")["detail"] == "the request is not authenticated"
    assert answer.headers["www-authenticate"] == challenge


def test_bearer_and_basic(api_client, outside):
    bearer = triggered.published(api_client, triggered.webhook(auth="bearer"))["hook"]
    headers = {"Authorization": f"Bearer {bearer['secret']}"}
    assert outside.post(f"/hooks/{bearer['id']}", headers=headers).status_code == 202
    basic = triggered.published(api_client, triggered.webhook(auth="basic"))["hook"]
    assert outside.post(f"/hooks/{basic['id']}", auth=(basic["id"], basic["secret"])).status_code == 202
    problem(outside.post(f"/hooks/{basic['id']}", auth=(bearer["id"], bearer["secret"])), 401)


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        ({"body": "x" * 1_048_577, "isBase64Encoded": False}, 413, "too_large"),
        ({"body": "!!", "isBase64Encoded": True}, 400, "bad_request"),
        ({"body": "{", "isBase64Encoded": False}, 400, "bad_json"),
        ({"body": "[NaN]", "isBase64Encoded": False}, 400, "bad_json"),
        ({"body": '"\\ud800"', "isBase64Encoded": False}, 400, "bad_json"),
        ({"body": "\ud800", "isBase64Encoded": False}, 400, "bad_request"),
        ({"body": "[" * 2000, "isBase64Encoded": False}, 400, "bad_json"),
        ({"body": "%FF=1", "headers": {"content-type": "application/x-www-form-urlencoded"}}, 400, "bad_form"),
        ({"body": "/w==", "isBase64Encoded": True, "headers": {"content-type": "text/plain"}}, 400, "bad_text"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_bodies(api_client, event, status, code):
    workflow = triggered.create(api_client, triggered.document(triggered.webhook()))
    hook = triggered.publish(api_client, workflow)["hook"]
    whole = triggered.raw_event(f"/hooks/{hook['id']}", **({"headers": {"content-type": "application/json"}} | event))
    answer = handler(whole, Context())
    body = json.loads(answer["body"])
    assert (answer["statusCode"], body["code"]) == (status, code)
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert triggered.executions(workflow, api_client) == []


def test_a_delivery_that_comes_again_starts_nothing(api_client, outside):
    workflow = triggered.create(api_client, triggered.document(triggered.webhook(**GITHUB)))
    hook = triggered.publish(api_client, workflow)["hook"]
    first = deliver(outside, hook, X_GitHub_Delivery="d-1")
    assert deliver(outside, hook, X_GitHub_Delivery="d-1").json() == first.json()
    other = deliver(outside, hook, X_GitHub_Delivery="d-2")
    keyed = deliver(outside, hook, X_GitHub_Delivery="d-2", Idempotency_Key="k")
    assert deliver(outside, hook, X_GitHub_Delivery="d-3", Idempotency_Key="k").json() == keyed.json()
    unnamed = [deliver(outside, hook), deliver(outside, hook)]
    ids = {a.json()["execution_id"] for a in (first, other, keyed, *unnamed)}
    assert len(ids) == 5
    assert {e["id"] for e in triggered.executions(workflow, api_client)} == ids


def test_deliveries_are_told_apart_by_webhook_and_tenant(api_client, other_client, outside):
    hooks = [triggered.published(client, triggered.webhook(**GITHUB))["hook"] for client in (api_client, other_client)]
    hooks.append(triggered.published(api_client, triggered.webhook(**GITHUB))["hook"])
    answers = [deliver(outside, hook, X_GitHub_Delivery="same") for hook in hooks]
    answers.append(deliver(outside, hooks[0], kind="hooks-test", X_GitHub_Delivery="same"))
    assert len({a.json()["execution_id"] for a in answers}) == 4


def test_a_thousand_identical_deliveries_start_one_run(api_client, outside, monkeypatch):
    monkeypatch.setattr(limits, "rate_of", lambda _tenant: 10**9)
    workflow = triggered.create(api_client, triggered.document(triggered.webhook(**GITHUB)))
    hook = triggered.publish(api_client, workflow)["hook"]
    together = threading.Barrier(8)

    def some(_n: int):
        together.wait()
        return [deliver(outside, hook, X_GitHub_Delivery="d-1") for _ in range(125)]

    with ThreadPoolExecutor(8) as pool:
        answers = [a for few in pool.map(some, range(8)) for a in few]
    assert Counter(a.status_code for a in answers) == {202: 1_000}
    assert len({a.json()["execution_id"] for a in answers}) == 1
    assert len(triggered.executions(workflow, api_client)) == 1


def test_a_repeat_starts_what_a_crash_left(api_client, tenant, outside, monkeypatch):
    """The first call dies after it has taken the delivery; then after it has written the run."""
    workflow = triggered.create(api_client, triggered.document(triggered.webhook(**GITHUB)))
    hook = triggered.publish(api_client, workflow)["hook"]

    class Killed(BaseException):
        pass

    def die(*_arguments, **_more):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RunStore, "create", die)
        with pytest.raises(Killed):
            deliver(outside, hook, X_GitHub_Delivery="d-1")
    assert triggered.executions(workflow, api_client) == []
    with monkeypatch.context() as patch:
        patch.setattr(starting, "launch", die)
        with pytest.raises(Killed):
            deliver(outside, hook, X_GitHub_Delivery="d-1")
    (left,) = triggered.executions(workflow, api_client)
    answer = deliver(outside, hook, X_GitHub_Delivery="d-1")
    assert answer.json() == {"execution_id": left["id"]}
    run = run_of(tenant, answer)
    assert starting.states.describe_execution(run.machine, run.execution_name)["status"]
    assert len(triggered.executions(workflow, api_client)) == 1


def test_the_version_that_runs_is_the_published_one(api_client, tenant, outside):
    """Publishing switches the demands on a request and what it starts in one."""
    workflow = triggered.create(api_client, triggered.document(triggered.webhook()))
    hook = triggered.publish(api_client, workflow)["hook"]
    assert "secret" not in hook
    assert run_of(tenant, outside.post(f"/hooks/{hook['id']}")).version == 1
    draft = triggered.document(triggered.webhook(auth="bearer"))
    assert api_client.put(f"/workflows/{workflow}", json=draft).status_code == 200
    assert run_of(tenant, outside.post(f"/hooks/{hook['id']}")).version == 1
    now = triggered.publish(api_client, workflow)["hook"]
    assert now["id"] == hook["id"]
    problem(outside.post(f"/hooks/{hook['id']}"), 401)
    answer = outside.post(f"/hooks/{hook['id']}", headers={"Authorization": f"Bearer {now['secret']}"})
    assert run_of(tenant, answer).version == 2


def test_a_new_authentication_without_a_secret_yet_lets_nobody_in(api_client, tenant, outside):
    """Between the switch to the new version and the making of its secret."""
    from shared.triggers.store import TriggerStore

    hook = triggered.published(api_client, triggered.webhook(auth="bearer"))["hook"]
    store = TriggerStore(TenantTable(tenant))
    store.change_webhook(store.webhook(hook["id"]), {"secret": None})
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer None"}):
        problem(outside.post(f"/hooks/{hook['id']}", headers=headers), 401)


def test_the_test_address_runs_the_draft(api_client, tenant, outside):
    workflow = triggered.create(api_client, triggered.document(triggered.webhook(**GITHUB)))
    hook = triggered.publish(api_client, workflow)["hook"]
    answer = deliver(outside, hook, kind="hooks-test")
    assert answer.status_code == 202, answer.text
    assert run_of(tenant, answer).version == 0
    problem(outside.post(f"/hooks-test/{hook['id']}", content=b"{}"), 401)
    broken = triggered.document(triggered.webhook(**GITHUB))
    broken["nodes"].append({"id": "x", "type": "transform", "config": {"expression": "((("}})
    assert api_client.put(f"/workflows/{workflow}", json=broken).status_code == 200
    found = problem(deliver(outside, hook, kind="hooks-test"), 422, "invalid_workflow")
    assert "x" in {e.get("node_id") for e in found["errors"]}
    problem(outside.post(f"/hooks-test/{hook['id']}", content=b"{}"), 401)
    assert deliver(outside, hook).status_code == 202


def test_the_test_address_works_before_anything_is_published(api_client, tenant, outside):
    workflow = triggered.create(api_client, triggered.document(triggered.webhook(**GITHUB)))
    answer = api_client.post("/webhooks", json={"workflow_id": workflow, "node_id": "hook"})
    assert answer.status_code == 201, answer.text
    hook = answer.json()
    assert run_of(tenant, deliver(outside, hook, kind="hooks-test")).version == 0
    problem(deliver(outside, hook), 404)
    again = triggered.publish(api_client, workflow)["hook"]
    assert again["id"] == hook["id"]
    assert "secret" not in again
    assert deliver(outside, hook).status_code == 202


def test_too_many_requests(api_client, tenant, outside):
    hook = triggered.published(api_client, triggered.webhook(**GITHUB))["hook"]
    allow(tenant, requests_per_second=3)  # thirty in a window of ten seconds
    limits.forget()
    answers = [deliver(outside, hook)]
    while answers[-1].status_code == 202 and len(answers) < 100:
        answers.append(deliver(outside, hook))
    assert 1 < len(answers) < 100
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
    problem(answers[-1], 429, "rate_limited")
    # Who cannot prove themselves uses up nothing, and is refused as ever.
    problem(outside.post(f"/hooks/{hook['id']}"), 401)


def test_slack_gets_its_challenge_back_and_starts_nothing(api_client, outside):
    workflow = triggered.create(api_client, triggered.document(triggered.webhook(auth="hmac", preset="slack")))
    hook = triggered.publish(api_client, workflow)["hook"]
    body, now = b'{"type": "url_verification", "challenge": "c-1"}', str(int(time.time()))
    signed = hmac.new(hook["secret"].encode(), f"v0:{now}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-Slack-Request-Timestamp": now,
        "X-Slack-Signature": f"v0={signed}",
    }
    assert outside.post(f"/hooks/{hook['id']}", content=body, headers=headers).json() == {"challenge": "c-1"}
    problem(outside.post(f"/hooks/{hook['id']}", content=body), 401)
    assert triggered.executions(workflow, api_client) == []


def test_a_crash_says_nothing_but_its_request_id(api_client, outside, monkeypatch, capsys):
    hook = triggered.published(api_client, triggered.webhook())["hook"]

    def crash(*_arguments, **_more):
        raise RuntimeError("whsec_in_a_message")

    monkeypatch.setattr(RunStore, "create", crash)
    answer = outside.post(f"/hooks/{hook['id']}")
    assert "whsec" not in answer.text
    out = capsys.readouterr().out
    assert problem(answer, 500, "internal")["request_id"] in out
    assert "RuntimeError" in out
    assert "whsec" not in out


def test_one_line_a_call_and_nothing_that_was_sent(api_client, outside, capsys):
    hook = triggered.published(api_client, triggered.webhook(**GITHUB))["hook"]
    capsys.readouterr()
    deliver(outside, hook, b'{"card": "4111"}', X_GitHub_Delivery="delivery-1")
    outside.post(f"/hooks/{hook['id']}", content=b"4111")
    outside.post("/hooks/wh_unknown-4111")
    out = capsys.readouterr().out
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["status"] for line in lines] == [202, 401, 404]
    assert {line["message"] for line in lines} == {"webhook"}
    assert lines[0]["node_id"] == "hook"
    for sent in ("4111", hook["id"], hook["secret"], "delivery-1"):
        assert sent not in out


def test_the_function_imports_little():
    code = "import sys, functions.webhook.handler; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"fastapi", "pydantic", "jsonschema", "jsonatapy", "httpx", "cronsim", "openai", "shared.nodes.base"}
    assert not heavy & set(loaded)


def test_a_directory_entry_of_another_tenant_leads_nowhere(api_client, other_tenant, outside):
    from shared.store.keys import hook_directory
    from shared.store.table import Directory

    hook = triggered.published(api_client, triggered.webhook())["hook"]
    Directory().put(hook_directory(hook["id"]), {"tenant_id": other_tenant.id})
    problem(outside.post(f"/hooks/{hook['id']}"), 404)
