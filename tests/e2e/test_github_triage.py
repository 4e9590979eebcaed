"""GitHub says that an issue was opened; a model reads it, and it gets its label by GitHub's API."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.e2e.caller import Caller, Json
from tests.e2e.test_webhooks import post, signed
from tests.echo_server import EchoServer
from tests.functions.api.workflows_over_http import node, workflow

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
TOKEN = "github_pat_7391e2e"
SIGNING = "triage-signing-7391"
TRIAGE = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["question", "bug", "feature"]},
        "priority": {"type": "integer", "minimum": 1, "maximum": 4},
        "summary": {"type": "string", "minLength": 1},
    },
    "required": ["kind", "priority", "summary"],
    "additionalProperties": False,
}


def opened(title: str, body: str, number: int = 1347) -> Json:
    """The delivery `issues.opened`, as GitHub's documentation of webhooks shows it, without most of its addresses."""
    user = {"login": "octocat", "id": 1, "node_id": "MDQ6VXNlcjE=", "type": "User", "site_admin": False}
    return {
        "action": "opened",
        "issue": {
            "url": f"https://api.github.com/repos/octo-org/octo-repo/issues/{number}",
            "id": 1,
            "number": number,
            "title": title,
            "user": user,
            "labels": [],
            "state": "open",
            "locked": False,
            "assignee": None,
            "comments": 0,
            "created_at": "2026-11-20T10:00:00Z",
            "author_association": "NONE",
            "body": body,
            "reactions": {"total_count": 0, "+1": 0, "-1": 0},
        },
        "repository": {
            "id": 35129377,
            "name": "octo-repo",
            "full_name": "octo-org/octo-repo",
            "private": False,
            "owner": {"login": "octo-org", "id": 6811672, "type": "Organization"},
            "default_branch": "main",
        },
        "sender": user,
    }


def triage(api: str) -> Json:
    """Reads the issue, decides, and puts labels on it: with the token of a credential and a header from a secret."""
    where = f"{api}/repos/{{{{ trigger.body.repository.full_name }}}}/issues/{{{{ trigger.body.issue.number }}}}/labels"
    headers = {"accept": "application/vnd.github+json", "x-triage": "{{ secrets.triage_e2e }}"}
    cases = {"bug": "inputs.input.kind = 'bug'", "feature": "inputs.input.kind = 'feature'"}

    def labels(node_id: str, label: str) -> Json:
        expression = f"{{'labels': ['{label}', 'priority-' & $string(inputs.input.priority)]}}"
        return node(node_id, "transform", {"expression": expression})

    nodes = [
        node("hook", "http_webhook", {"auth": "hmac", "preset": "github"}),
        node("ask", "transform", {"expression": "inputs.input.issue.(title & '\n\n' & body)"}),
        node("read", "llm_chat", {"model": "scripted", "response_schema": TRIAGE}),
        node("which", "switch", {"cases": cases}),
        labels("bug", "bug"),
        labels("feature", "enhancement"),
        labels("other", "question"),
        node(
            "label",
            "http_request",
            {"method": "POST", "credential": "github_e2e"},
            inputs={"url": where, "headers": headers},
        ),
        node("out", "output"),
    ]
    wires = (
        "hook.body -> ask.input; ask.output -> read.messages; read.json -> which.input; which.bug -> bug.input; "
        "which.feature -> feature.input; which.default -> other.input; bug.output -> label.body; "
        "feature.output -> label.body; other.output -> label.body; label.response -> out.value"
    )
    return workflow(nodes, wires, name="Issue triage")


@pytest.fixture(scope="module")
def hook(mine: Caller, echo: EchoServer) -> Json:
    """The published webhook, with the credentials that the workflow names."""
    mine.secrets |= {TOKEN, SIGNING}
    for name, kind, values in (
        ("github_e2e", "bearer", {"token": TOKEN}),
        ("triage_e2e", "secret", {"value": SIGNING}),
    ):
        mine.post("/credentials", {"name": name, "kind": kind, "values": values}, 201)
    tested = mine.post("/credentials/github_e2e/test", {"url": f"{echo.base}/user"})
    assert tested["outcome"] == "ok", tested
    return mine.publish(mine.store(triage(echo.base)))["hook"]


def deliver(mine: Caller, hook: Json, payload: Json, delivery: str) -> Json:
    body = json.dumps(payload).encode()
    headers = {**signed(hook["secret"], body, delivery), "X-GitHub-Event": "issues"}
    answer = post(hook["url"], body, headers)
    assert answer.status_code == 202, answer.text
    return mine.until(answer.json()["execution_id"])


def sent(echo: EchoServer, number: int) -> list[tuple[dict[str, str], Any]]:
    """What GitHub's API was asked for this issue: headers and bodies."""
    path = f"/repos/octo-org/octo-repo/issues/{number}/labels"
    return [
        (headers, json.loads(body)) for method, at, headers, body in list(echo.seen) if (method, at) == ("POST", path)
    ]


@pytest.mark.parametrize(
    ("title", "text", "number", "labels", "node_id"),
    [
        ("It crashes on start", "Stack trace:\n  at main ☃", 1347, ["bug", "priority-1"], "bug"),
        ("How do I log in?", "I cannot find the page.", 1348, ["question", "priority-1"], "other"),
    ],
)
def test_an_issue_gets_its_label(
    mine: Caller, echo: EchoServer, hook: Json, title: str, text: str, number: int, labels: list[str], node_id: str
) -> None:
    run = deliver(mine, hook, opened(title, text, number), f"triage-{number}")
    assert run["status"] == "completed", run["error"]
    asked = sent(echo, number)
    assert [body for _, body in asked] == [{"labels": labels}]
    headers = {name.lower(): value for name, value in asked[0][0].items()}
    assert (headers["authorization"], headers["x-triage"]) == (f"Bearer {TOKEN}", SIGNING)
    assert headers["idempotency-key"]
    statuses = {n: e["status"] for n, e in run["node_executions"].items()}
    assert {n for n, status in statuses.items() if status == "skipped"} == {"bug", "feature", "other"} - {node_id}
    assert set(statuses.values()) == {"completed", "skipped"}
    shown = json.dumps(run)
    assert TOKEN not in shown
    assert SIGNING not in shown
    assert run["node_executions"]["label"]["inputs"]["headers"]["x-triage"] == "[secret]"
    again = deliver(mine, hook, opened(title, text, number), f"triage-{number}")
    assert (again["id"], len(sent(echo, number))) == (run["id"], 1)


def test_a_delivery_of_somebody_else_starts_nothing(hook: Json) -> None:
    body = json.dumps(opened("It crashes", "x", 9)).encode()
    answer: httpx.Response = post(hook["url"], body, signed("whsec_not_it", body, "forged"))
    assert answer.status_code == 401


def test_without_its_credential_a_run_says_so_and_goes_on_when_it_is_back(
    mine: Caller, echo: EchoServer, hook: Json
) -> None:
    assert mine.send("DELETE", "/credentials/github_e2e").status_code == 204
    run = deliver(mine, hook, opened("It crashes again", "x", 1349), "triage-1349")
    assert (run["status"], run["error"]["error"]) == ("failed", "CredentialNotFound")
    mine.post("/credentials", {"name": "github_e2e", "kind": "bearer", "values": {"token": TOKEN}}, 201)
    mine.control(run["id"], "retry")
    assert mine.until(run["id"], "completed")["status"] == "completed"
    assert len(sent(echo, 1349)) == 1
