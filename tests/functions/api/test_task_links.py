"""Answering without an account: by JSON and by the page, once, by whom it was sent to."""

from __future__ import annotations

import re

import pytest

from shared import limits
from shared.aws import states
from shared.clock import now_ms
from shared.errors import RateLimited
from shared.store.keys import Key
from shared.store.table import Change, TenantTable
from tests.functions.api.samples import made
from tests.shared.tasks.asking import FORM, a_run, a_task

HTML = {"accept": "text/html,application/xhtml+xml"}
GUEST = "Guest@outside.example"


@pytest.fixture(autouse=True)
def _waiting(monkeypatch):
    """Step Functions takes every token; what it does with them is shown in tests/stepfunctions."""
    monkeypatch.setattr(states, "send_success", lambda _token: True)


def linked(client, task_id: str, assignee: str = GUEST, **more) -> str:
    """Where a new link leads, below the API."""
    link = made(client.post(f"/tasks/{task_id}/links", json={"assignee": assignee, **more}))
    assert link["status"] == "open"
    assert link["url"].startswith("http://api.test/api/v1/task-links/lk_")
    return link["url"].removeprefix("http://api.test/api/v1")


def test_somebody_without_an_account_answers_once(api_client, public_client, tenant):
    task_id = a_task(tenant, form=FORM, assignees=("key_other",))
    url = linked(api_client, task_id)
    for _ in range(3):  # mail scanners look, and look again
        shown = public_client.get(url)
        assert (shown.status_code, shown.headers["cache-control"]) == (200, "no-store")
    body = shown.json()
    assert (body["title"], body["data"], body["form"], body["status"]) == ("Refund 250?", {"amount": 250}, FORM, "open")
    assert not {"assignees", "execution_id", "id"} & set(body)
    answer = {"decision": "approve", "data": {"reason": "broken"}, "comment": "ok"}
    done = public_client.post(url, json=answer)
    assert (done.status_code, done.json()["decision"]) == (200, "approved")
    for again in (public_client.post(url, json=answer), public_client.get(url)):
        assert (again.status_code, again.json()["code"]) == (409, "link_used")
    task = api_client.get(f"/tasks/{task_id}").json()
    assert re.fullmatch(r"link:[0-9a-f]{16}", task["completed_by"])
    assert task["response"]["shown_sha256"] == body["shown_sha256"] == task["shown_sha256"]
    (link,) = api_client.get(f"/tasks/{task_id}/links").json()["items"]
    assert (link["status"], link["sent_to"], link["person"]) == ("used", GUEST, task["completed_by"])
    assert "url" not in link
    (entry,) = api_client.get("/audit-log?action=task_links_answer").json()["items"]
    assert entry["actor"] == {"kind": "link", "id": link["id"], "user": None}
    assert entry["resource"] == {"type": "tasks", "id": task_id}


def test_the_page_takes_an_answer_without_script(api_client, public_client, tenant):
    task_id = a_task(tenant, title="<script>alert(1)</script>", form=FORM, data={"x": "</pre><script>"})
    url = linked(api_client, task_id)
    page = public_client.get(url, headers=HTML)
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "<script" not in page.text
    assert "<form method='post'>" in page.text
    refused = public_client.post(url, data={"decision": "approve", "data": '{"reason": "no"}'})
    assert (refused.status_code, refused.headers["content-type"]) == (422, "text/html; charset=utf-8")
    done = public_client.post(url, data={"decision": "approve", "data": '{"reason": "broken"}', "comment": ""})
    assert (done.status_code, "was recorded" in done.text) == (200, True)
    gone = public_client.get(url, headers=HTML)
    assert (gone.status_code, "used already" in gone.text) == (409, True)
    assert api_client.get(f"/tasks/{task_id}").json()["response"]["data"] == {"reason": "broken"}


def test_a_link_for_a_user_is_that_users_answer(api_client, public_client, tenant):
    ada = made(api_client.post("/users", json={"email": "ada@first.example"}))
    run = a_run(tenant, triggered_by={"kind": "manual", "id": ada["id"], "user": ada["id"]})
    task_id = a_task(tenant, run)
    url = linked(api_client, task_id, "ADA@first.example")
    assert public_client.post(url, json={"decision": "approve"}).json()["status"] == "completed"
    assert api_client.get(f"/tasks/{task_id}").json()["response"]["completed_by"] == f"link:{ada['id']}"
    mine = a_task(tenant, run, no_self_approval=True)
    refused = api_client.post(f"/tasks/{mine}/links", json={"assignee": ada["id"]})
    assert (refused.status_code, refused.json()["code"]) == (403, "self_approval")


def test_nobody_makes_a_quorum_of_links(api_client, public_client, tenant, owner):
    """Who makes a link sees it: one for somebody else would be a second vote of the same person."""
    ada = made(api_client.post("/users", json={"email": "ada@first.example"}))
    task_id = a_task(tenant, quorum=2, assignees=(GUEST, ada["id"], owner.user.id))
    for other in (GUEST, ada["id"], "ada@first.example", "anybody@outside.example"):
        refused = api_client.post(f"/tasks/{task_id}/links", json={"assignee": other})
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "quorum_link")
    own = linked(api_client, task_id, owner.user.id)
    assert public_client.post(own, json={"decision": "approve"}).json()["status"] == "open"
    twice = api_client.post(f"/tasks/{task_id}/complete", json={"decision": "approve"})
    assert (twice.status_code, twice.json()["code"]) == (409, "already_voted")


def test_a_link_ends_when_it_is_withdrawn_expires_or_its_user_is_removed(api_client, public_client, tenant):
    task_id = a_task(tenant)
    withdrawn, late = linked(api_client, task_id), linked(api_client, task_id, expires_in=60)
    ada = made(api_client.post("/users", json={"email": "ada@first.example"}))
    removed = linked(api_client, task_id, ada["id"])
    links = {x["sent_to"]: x["id"] for x in api_client.get(f"/tasks/{task_id}/links").json()["items"]}
    assert len(links) == 2
    first = withdrawn.rsplit("/", 1)[1].split("_")[2]
    for _ in range(2):
        assert api_client.delete(f"/tasks/{task_id}/links/lk_{first}").status_code == 204
    table = TenantTable(tenant)
    second = late.rsplit("/", 1)[1].split("_")[2]
    table.update(Key(table.keys.task_links(), f"lk_{second}"), Change(set={"expires_at": now_ms()}))
    assert api_client.delete(f"/users/{ada['id']}").status_code == 204
    for url, code in ((withdrawn, "link_revoked"), (late, "link_expired"), (removed, "link_revoked")):
        for answer in (public_client.get(url), public_client.post(url, json={"decision": "approve"})):
            assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert api_client.get(f"/tasks/{task_id}").json()["status"] == "open"


def test_a_link_opens_its_own_task_only(api_client, other_client, public_client, tenant):
    task_id, other_task = a_task(tenant), a_task(tenant)
    url = linked(api_client, task_id)
    token = url.rsplit("/", 1)[1]
    prefix, tenant_id, own, secret = token.split("_")
    strangers = other_client.get("/tenants/current").json()["id"]
    for bad in (
        "x",
        token[:-1],
        token + "0",
        f"{prefix}_{tenant_id}_{own}_{'0' * 48}",
        f"{prefix}_{strangers}_{own}_{secret}",
        f"inv_{tenant_id}_{own}_{secret}",
        f"{prefix}_{tenant_id}_{'0' * 26}_{secret}",
        "%00",
        "%ED%A0%80",
        "lk_" * 5_000,
    ):
        for answer in (
            public_client.get(f"/task-links/{bad}"),
            public_client.post(f"/task-links/{bad}", json={"decision": "approve"}),
        ):
            assert answer.status_code == 404, bad
            assert answer.headers["content-type"] == "application/problem+json"
    assert other_client.get(f"/tasks/{task_id}/links").status_code == 404
    link_id = f"lk_{own}"
    assert api_client.delete(f"/tasks/{other_task}/links/{link_id}").status_code == 404
    assert public_client.get(url).status_code == 200


BAD_LINKS = [
    {},
    {"assignee": ""},
    {"assignee": 5},
    {"assignee": "nobody"},
    {"assignee": "key_x"},
    {"assignee": GUEST, "expires_in": 59},
    {"assignee": GUEST, "expires_in": 2_592_001},
    {"assignee": GUEST, "expires_in": "60"},
    {"assignee": GUEST, "other": 1},
]


@pytest.mark.parametrize("body", BAD_LINKS, ids=str)
def test_bad_links(api_client, tenant, body):
    answer = api_client.post(f"/tasks/{a_task(tenant)}/links", json=body)
    assert answer.status_code == 422, answer.text


BAD_ANSWERS = [
    ({"content": b"", "headers": {}}, 415),
    ({"json": {}}, 422),
    ({"json": {"decision": "perhaps"}}, 422),
    ({"json": {"decision": "approve", "data": []}}, 422),
    ({"json": {"decision": "approve", "other": 1}}, 422),
    ({"json": []}, 422),
    ({"content": b"{", "headers": {"content-type": "application/json"}}, 400),
    ({"data": {"decision": "perhaps"}}, 422),
    ({"data": {"comment": "x"}}, 422),
    ({"data": {"decision": "approve", "data": "{"}}, 422),
    ({"data": {"decision": "approve", "data": "[" * 5_000}}, 422),
    ({"data": {"decision": "approve", "comment": "\u0000"}}, 422),
    ({"content": b"decision=%ff%fe&=&&", "headers": {"content-type": "application/x-www-form-urlencoded"}}, 422),
]


def test_bad_answers(api_client, public_client, tenant):
    task_id = a_task(tenant, form=FORM)
    url = linked(api_client, task_id)
    for request, status in BAD_ANSWERS:
        answer = public_client.post(url, **request)
        assert answer.status_code == status, (request, answer.text)
    assert public_client.get(url).json()["status"] == "open"


def test_a_link_needs_somebody_who_may_answer_the_task(api_client, tenant):
    from tests import http_api

    task_id = a_task(tenant, assignees=("key_other",))
    for role, status in (("operator", 403), ("editor", 403), ("admin", 201)):
        key = api_client.post("/api-keys", json={"name": "k", "role": role}).json()["key"]
        with http_api.connect(key) as client:
            assert client.post(f"/tasks/{task_id}/links", json={"assignee": GUEST}).status_code == status
    assert api_client.post(f"/tasks/{task_id}/complete", json={"decision": "approve"}).status_code == 200
    refused = api_client.post(f"/tasks/{task_id}/links", json={"assignee": GUEST})
    assert (refused.status_code, refused.json()["code"]) == (409, "already_answered")


def test_an_address_has_so_many_looks_an_hour(public_client, monkeypatch):
    def spent(*_):
        raise RateLimited("too many", retry_after=60)

    monkeypatch.setattr(limits, "count_link", spent)
    for path in ("/task-links/x", "/invitation-links/x"):
        assert public_client.get(path).status_code == 429


def test_secrets_are_stored_as_hashes_and_not_logged(api_client, public_client, tenant, capsys):
    task_id = a_task(tenant)
    url = linked(api_client, task_id)
    secret = url.rsplit("_", 1)[1]
    public_client.get(url)
    public_client.post(url, json={"decision": "approve"})
    table = TenantTable(tenant)
    stored = repr(list(table.query_all(table.keys.task_links()))) + repr(
        list(table.query_all(table.keys.audit_inbox()))
    )
    assert secret not in stored + capsys.readouterr().out
