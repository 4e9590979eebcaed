from __future__ import annotations

import pytest

from shared.aws import states
from tests import http_api
from tests.shared.tasks.asking import FORM, TOKEN, a_run, a_task


@pytest.fixture(autouse=True)
def _waiting(monkeypatch):
    """Step Functions takes every token; what it does with them is shown in tests/stepfunctions."""
    monkeypatch.setattr(states, "send_success", lambda _token: True)


def test_a_task_from_the_list_to_its_answer(api_client, tenant):
    run = a_run(tenant)
    task_id = a_task(tenant, run, form=FORM, assignees=("ops",))
    (listed,) = api_client.get("/tasks", params={"status": "open", "workflow_id": run.workflow_id}).json()["items"]
    assert (listed["id"], listed["status"], listed["execution_id"]) == (task_id, "open", run.id)
    assert "data" not in listed
    shown = api_client.get(f"/tasks/{task_id}").json()
    assert (shown["form"], shown["data"], shown["response"]) == (FORM, {"amount": 250}, None)
    assert (shown["expires_at"][-1], shown["due_at"]) == ("Z", None)
    claimed = api_client.post(f"/tasks/{task_id}/claim").json()
    assert claimed["claimed_by"]
    assert api_client.post(f"/tasks/{task_id}/unclaim").json()["claimed_by"] is None
    body = {"decision": "approve", "data": {"reason": "broken"}, "comment": "ok"}
    done = api_client.post(f"/tasks/{task_id}/complete", json=body)
    assert done.status_code == 200, done.text
    assert done.json()["status"] == "completed"
    assert done.json()["response"]["data"] == {"reason": "broken"}
    assert done.json()["response"]["decision"] == "approved"
    again = api_client.post(f"/tasks/{task_id}/complete", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "already_answered")
    assert api_client.get("/tasks", params={"status": "open"}).json()["items"] == []
    assert api_client.get("/tasks", params={"status": "completed"}).json()["items"][0]["decision"] == "approved"


BAD_ANSWERS = [
    ({}, "decision"),
    ({"decision": "perhaps"}, "decision"),
    ({"decision": 1}, "decision"),
    ({"decision": "approve", "data": []}, "data"),
    ({"decision": "approve", "data": "text"}, "data"),
    ({"decision": "approve", "data": {"reason": "x"}}, "data.reason"),
    ({"decision": "approve"}, "data"),
    ({"decision": "approve", "comment": "x" * 10_001}, "comment"),
    ({"decision": "approve", "comment": 5}, "comment"),
    ({"decision": "approve", "token": "x"}, "token"),
    ([], "body"),
]


def test_bad_answers(api_client, tenant):
    task_id = a_task(tenant, form=FORM)
    for body, path in BAD_ANSWERS:
        answer = api_client.post(f"/tasks/{task_id}/complete", json=body)
        assert answer.status_code == 422, answer.text
        assert path in {e["path"] for e in answer.json()["errors"]}
    assert api_client.get(f"/tasks/{task_id}").json()["status"] == "open"


def test_answers_that_are_no_json(api_client, tenant):
    task_id = a_task(tenant)
    headers = {"content-type": "application/json"}
    for raw in (b"{", b"", b"\xff", b"nonsense"):
        answer = api_client.post(f"/tasks/{task_id}/complete", content=raw, headers=headers)
        assert answer.status_code in (400, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_bad_assignees(api_client, tenant):
    task_id = a_task(tenant)
    for assignees in (None, [], [""], ["x" * 321], ["a"] * 101, [1], "ops", ["a\nb"]):
        answer = api_client.post(f"/tasks/{task_id}/reassign", json={"assignees": assignees})
        assert answer.status_code == 422, answer.text


def test_bad_filters(api_client):
    for query in ({"status": "done"}, {"assignee": ""}, {"limit": "0"}, {"limit": "201"}, {"workflow_id": "x" * 1001}):
        assert api_client.get("/tasks", params=query).status_code == 422


def test_a_cursor_fits_only_its_own_list(api_client, tenant):
    for _ in range(3):
        a_task(tenant)
    page = api_client.get("/tasks", params={"limit": 2}).json()
    assert len(page["items"]) == 2
    cursor = page["next_cursor"]
    assert len(api_client.get("/tasks", params={"limit": 2, "cursor": cursor}).json()["items"]) == 1
    assert api_client.get("/tasks", params={"cursor": cursor, "status": "open"}).status_code == 400
    assert api_client.get("/tasks", params={"cursor": "nonsense"}).status_code == 400


def test_a_task_that_has_changed_since_it_was_read_is_not_reassigned(api_client, tenant):
    url = f"/tasks/{a_task(tenant)}"
    read = api_client.get(url)
    assert read.headers["etag"] == f'"{read.json()["revision"]}"'
    claimed = api_client.post(f"{url}/claim")
    assert claimed.headers["etag"] != read.headers["etag"]
    body = {"assignees": ["ops"]}
    stale = api_client.post(f"{url}/reassign", json=body, headers={"If-Match": read.headers["etag"]})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert api_client.get(url).json()["claimed_by"]
    done = api_client.post(f"{url}/reassign", json=body, headers={"If-Match": claimed.headers["etag"]})
    assert (done.status_code, done.json()["assignees"]) == (200, ["ops"])
    assert api_client.get(url).headers["etag"] == done.headers["etag"]
    assert api_client.post(f"{url}/reassign", json=body).status_code == 200


@pytest.mark.parametrize(
    ("role", "scopes", "reads", "answers"),
    [
        ("viewer", None, 403, 403),
        ("operator", None, 200, 200),
        ("operator", ["tasks:read"], 200, 403),
        ("operator", ["tasks:*"], 200, 200),
        ("operator", ["runs:write"], 403, 403),
    ],
)
def test_who_may(api_client, tenant, role, scopes, reads, answers):
    body = {"name": "k", "role": role, **({"scopes": scopes} if scopes else {})}
    key = api_client.post("/api-keys", json=body).json()["key"]
    task_id = a_task(tenant)
    with http_api.connect(key) as client:
        assert client.get("/tasks").status_code == reads
        assert client.get(f"/tasks/{task_id}").status_code == reads
        assert client.post(f"/tasks/{task_id}/complete", json={"decision": "approve"}).status_code == answers


def test_nothing_answered_or_logged_holds_the_token(api_client, tenant, capsys):
    task_id = a_task(tenant)
    answers = [
        api_client.get("/tasks"),
        api_client.get(f"/tasks/{task_id}"),
        api_client.post(f"/tasks/{task_id}/claim"),
        api_client.post(f"/tasks/{task_id}/reassign", json={"assignees": ["x"]}),
        api_client.post(f"/tasks/{task_id}/complete", json={"decision": "approve"}),
    ]
    assert {a.status_code for a in answers} == {200}
    text = "".join(a.text for a in answers) + capsys.readouterr().out
    assert task_id in text
    assert TOKEN not in text
    assert "token" not in "".join(a.text for a in answers)
