"""No secret and nothing personal is in the executions' histories, the functions' logs or the live events.

Runs after the other end-to-end tests, and looks through what all of them left behind.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from infrastructure.local.stack import Stack
from tests.e2e.behind import FUNCTIONS, executions, history, items, log_of
from tests.e2e.caller import Caller, Json, until
from tests.echo_server import EchoServer
from tests.functions.api.workflows_over_http import node, workflow

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
MARK = "Wilhelmina-Qvist"  # stands in everything that a tenant or a person sends
EMAIL = "wilhelmina.qvist@private.example"


@pytest.fixture(scope="module")
def marked(mine: Caller, echo: EchoServer) -> list[Json]:
    """Runs that have the mark wherever a run can have it: one that completes and three that fail."""
    form = {"type": "object", "properties": {"iban": {"type": "string", "maxLength": 60}}, "required": ["iban"]}
    bearer = {"type": "bearer", "token": f"{MARK} {{{{ $substringBefore(trigger.name, ' ') }}}}"}
    url = f"{echo.base}/echo?who={{{{ $encodeUrlComponent(trigger.name) }}}}"
    question = {"title": f"May {MARK} go?", "instructions": "{{ trigger.name }}", "form": form}
    nodes = [
        node("start", "manual_trigger"),
        node("hook", "http_webhook", {"auth": "hmac", "preset": "github"}),
        node("call", "http_request", {"method": "POST", "auth": bearer}, inputs={"url": url, "body": "{{ trigger }}"}),
        node("log", "log", inputs={"message": "{{ trigger }}"}),
        node("ask", "human_in_the_loop", question),
        node("out", "output"),
    ]
    wires = "ask.response -> out.value; start.trigger -> call.body; hook.body -> call.body; call.response -> ask.input"
    whole = mine.store(workflow(nodes, wires, name=f"For {MARK}", variables={"v": MARK}))
    hook = mine.publish(whole)["hook"]
    person = {"name": f"{MARK} äöü", "email": EMAIL}
    mine.post(f"/workflows/{whole}/execute", {"trigger_data": person, "trigger_node": "hook"})
    by_hand = mine.execute(whole, person)
    task_id = mine.task(by_hand, "ask")
    wrong = {"decision": "approve", "data": {"iban": MARK * 9}, "comment": MARK}
    assert MARK not in json.dumps(mine.refused("POST", f"/tasks/{task_id}/complete", 422, wrong)["errors"])
    mine.answer(by_hand, "ask", {"decision": "approve", "data": {"iban": MARK}, "comment": MARK})

    body = json.dumps(person).encode()
    for secret in (hook["secret"], MARK):
        signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": signature, "X-Who": MARK}
        url = f"{hook['url']}/{MARK}?who={MARK}"
        answer = httpx.post(url, content=body, headers=headers, timeout=60, trust_env=False)
        assert answer.status_code == (202 if secret == hook["secret"] else 401)

    failing = [
        {"expression": "$number(trigger.name)"},
        {"expression": "$error(trigger.name)"},
        {"expression": "$lookup(trigger, 'name') + 1"},
    ]
    failed = []
    for config in failing:
        nodes = [node("start", "manual_trigger"), node("bad", "transform", config), node("out", "output")]
        failed.append(mine.start(workflow(nodes, "start.trigger -> bad.input; bad.output -> out.value"), person))
    # Requests that are refused, too.
    assert mine.send("POST", f"/workflows/{MARK}/execute", {"trigger_data": person}).status_code == 404
    assert mine.send("GET", f"/workflows?q={MARK}&cursor={MARK}").status_code == 400
    assert mine.send("POST", "/workflows", {"name": MARK, MARK: 1}).status_code == 422
    public = httpx.Client(base_url=str(mine.http.base_url), timeout=60, trust_env=False)
    with public:
        assert public.get("/workflows", headers={"X-API-Key": f"sw_{MARK}"}).status_code == 401
        assert public.post("/auth/token", json={"email": EMAIL, "password": MARK}).status_code == 401
    ended = [mine.until(run_id) for run_id in (by_hand, *failed)]
    assert [r["status"] for r in ended] == ["completed", "failed", "failed", "failed"]
    return ended


@pytest.fixture(scope="module")
def secrets(mine: Caller, theirs: Caller, local: Stack) -> set[str]:
    """What nobody may find anywhere: keys, passwords, the webhooks' secrets."""
    return mine.secrets | theirs.secrets | {t.password for t in local.tenants}


@pytest.fixture(scope="module")
def histories(marked: list[Json], local: Stack) -> list[list[dict[str, Any]]]:
    found = [history(local, arn) for arn in executions(local)]
    assert len(found) >= len(marked)
    return found


@pytest.fixture(scope="module")
def tokens(mine: Caller, marked: list[Json], local: Stack) -> set[str]:
    """The task tokens of questions that are still open, unsealed as only the account's root can."""
    found = set()
    for item in items(local):
        if item["PK"]["S"] == f"T#{mine.tenant_id}#TASKS" and "token" in item:
            context = {"tenant_id": mine.tenant_id, "task": item["SK"]["S"], "execution": item["execution_id"]["S"]}
            sealed = item["token"]["B"]
            opened = local.client("kms").decrypt(CiphertextBlob=sealed, EncryptionContext=context)["Plaintext"]
            found.add(opened.decode())
    return found


def test_histories_hold_control_only(
    histories: list[list[dict[str, Any]]], secrets: set[str], tokens: set[str]
) -> None:
    assert tokens
    for events in histories:
        text = json.dumps(events, default=str, ensure_ascii=False)
        assert not [s for s in (MARK, EMAIL, *secrets, *tokens) if s in text], events[0]
        given = json.loads(events[0]["executionStartedEventDetails"]["input"])
        assert set(given) == {"tenant", "execution", "attempt", "plan", "timeouts"}


def test_machines_hand_over_control_only(marked: list[Json], local: Stack) -> None:
    """What a history on AWS shows of each task besides: its arguments. (MiniStack does not record them.)"""
    client = local.client("stepfunctions")
    seen = 0
    for page in client.get_paginator("list_state_machines").paginate():
        for machine in page["stateMachines"]:
            definition = client.describe_state_machine(stateMachineArn=machine["stateMachineArn"])["definition"]
            assert MARK not in definition
            for payload in _payloads(json.loads(definition)):
                seen += 1
                # Its token is in the arguments, because it must be; it is good for one answer, and for this account.
                assert set(payload) <= {"run", "segment", "turn", "question", "park", "token", "within"}
                assert payload["run"] == "{% $states.input %}"
    assert seen


def _payloads(definition: Any) -> Iterator[dict[str, Any]]:
    if isinstance(definition, dict):
        if "Payload" in definition:
            yield definition["Payload"]
        for value in definition.values():
            yield from _payloads(value)
    elif isinstance(definition, list):
        for value in definition:
            yield from _payloads(value)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_logs_hold_no_secret_and_nothing_personal(
    function: str, secrets: set[str], tokens: set[str], local: Stack
) -> None:
    lines = list(log_of(local, function))
    for line in lines:
        assert not [s for s in (MARK, EMAIL, *secrets, *tokens) if s in line], line
    # A schedule may have had no time to fire; of the websocket function's lines MiniStack keeps none.
    assert lines or function in ("dispatcher", "websocket")


def test_secrets_and_tokens_are_kept_sealed_or_hashed(secrets: set[str], tokens: set[str], local: Stack) -> None:
    stored = json.dumps(list(items(local)), default=_shown, ensure_ascii=False)
    assert not [s for s in secrets | tokens if s in stored]


def _shown(value: Any) -> str:
    raw = getattr(value, "value", value)
    return raw.decode("latin-1") if isinstance(raw, bytes) else str(raw)


def test_events_tell_what_happened_and_not_with_what(mine: Caller, marked: list[Json]) -> None:
    for run in marked:
        told = until(
            lambda run_id=run["id"]: mine.events(run_id), lambda found: found[-1]["type"].startswith("execution_")
        )
        values = [{k: v for k, v in event.items() if k != "title"} for event in told]  # a task's title is for people
        assert MARK not in json.dumps(values)
        assert EMAIL not in json.dumps(told)
