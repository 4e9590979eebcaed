"""A task that writes to its assignees: a link each, once, whoever dies in between."""

from __future__ import annotations

import re
import time

import pytest

from shared.aws import states
from shared.nodes.base import Escalation
from shared.store.table import TenantTable
from shared.task_links.store import TaskLinkStore
from shared.tasks import notices
from shared.tasks.service import TaskService
from tests.functions.api.samples import made
from tests.shared.tasks.asking import a_run, a_task
from tests.shared.tasks.test_people import Clock

MAIL = {"notify": "email", "credential": "mail"}


@pytest.fixture(autouse=True)
def _waiting(monkeypatch):
    monkeypatch.setattr(states, "send_success", lambda _token: True)


@pytest.fixture
def ada(api_client) -> str:
    return str(made(api_client.post("/users", json={"email": "ada@first.example"}))["id"])


def link_in(mail) -> str:
    return re.search(r"http://api\.test/api/v1(/task-links/\S+)", mail.get_content())[1]


def written(server) -> list[str]:
    return sorted(to for recipients, _ in server.mails for to in recipients)


def test_everybody_has_a_link_of_their_own(tenant, api_client, public_client, mail_server, ada):
    task_id = a_task(tenant, assignees=(ada, "guest@outside.example", "no such type"), **MAIL)
    assert written(mail_server) == ["ada@first.example", "guest@outside.example"]
    links = {to[0]: link_in(mail) for to, mail in mail_server.mails}
    assert len(set(links.values())) == 2
    assert mail_server.mails[0][1]["Subject"] == "Refund 250?"
    done = public_client.post(links["guest@outside.example"], json={"decision": "approve"})
    assert done.status_code == 200, done.text
    assert public_client.get(links["ada@first.example"]).json()["status"] == "completed"
    late = public_client.post(links["ada@first.example"], json={"decision": "reject"})
    assert (late.status_code, late.json()["code"]) == (409, "already_answered")
    assert api_client.get(f"/tasks/{task_id}").json()["decision"] == "approved"


def test_whoever_started_the_run_gets_no_link(tenant, mail_server, ada):
    run = a_run(tenant, triggered_by={"kind": "manual", "id": ada, "user": ada})
    a_task(tenant, run, assignees=(ada, "guest@outside.example"), no_self_approval=True, **MAIL)
    assert written(mail_server) == ["guest@outside.example"]


def test_a_task_that_moves_on_takes_its_links_along(tenant, public_client, mail_server, ada, monkeypatch):
    clock = Clock(monkeypatch)
    steps = (Escalation(60, ("guest@outside.example",), replace=True),)
    task_id = a_task(tenant, assignees=(ada,), escalation=steps, **MAIL)
    clock.passes(61)
    for _ in range(2):
        TaskService(tenant).tidy(task_id)
    first, second = (link_in(mail) for _, mail in mail_server.mails)
    refused = public_client.get(first)
    assert (refused.status_code, refused.json()["code"]) == (409, "link_revoked")
    assert public_client.post(second, json={"decision": "approve"}).status_code == 200


def test_who_dies_after_the_mail_sends_the_same_one_again_and_both_links_are_one(
    tenant, public_client, mail_server, ada, monkeypatch
):
    with monkeypatch.context() as patch:

        def dies(*_):
            raise RuntimeError("killed")

        patch.setattr(TaskLinkStore, "sent", dies)
        task_id = a_task(tenant, assignees=(ada,), **MAIL)
    for _ in range(3):
        TaskService(tenant).tidy(task_id)
    (_, first), (_, second) = mail_server.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert link_in(first) != link_in(second)
    assert public_client.post(link_in(first), json={"decision": "approve"}).status_code == 200
    again = public_client.post(link_in(second), json={"decision": "approve"})
    assert (again.status_code, again.json()["code"]) == (409, "link_used")


def test_two_mails_of_one_link_at_once_both_lead_to_the_task(tenant, public_client, mail_server, ada, monkeypatch):
    def dies(*_):
        raise RuntimeError("killed")

    monkeypatch.setattr(TaskLinkStore, "sent", dies)
    task_id = a_task(tenant, assignees=(ada,), **MAIL)
    real = TenantTable.update

    def meanwhile(self, key, change, condition=None):
        if "hashes" in change.set:
            monkeypatch.setattr(TenantTable, "update", real)
            TaskService(tenant).tidy(task_id)  # another sweep, which mails between this one's reading and writing
        return real(self, key, change, condition)

    monkeypatch.setattr(TenantTable, "update", meanwhile)
    TaskService(tenant).tidy(task_id)
    urls = {link_in(mail) for _, mail in mail_server.mails}
    assert len(urls) == 3
    assert {public_client.get(url).status_code for url in urls} == {200}


def test_an_address_that_is_busy_keeps_nobody_waiting_and_one_that_is_gone_is_left(tenant, mail_server, ada):
    task_id = a_task(tenant, assignees=("busy@x.example", "gone@x.example", ada), **MAIL)
    for _ in range(10):
        TaskService(tenant).tidy(task_id)
    assert written(mail_server) == ["ada@first.example"]
    assert TaskService(tenant).get(task_id)[0].status == "open"


@pytest.mark.parametrize("what", ["no credential", "no server"])
def test_a_task_is_asked_whatever_becomes_of_its_mails(tenant, api_client, mail_server, ada, what):
    if what == "no credential":
        assert api_client.delete("/credentials/mail").status_code == 204
    else:
        values = {"host": "127.0.0.1", "port": 1, "tls": "off", "from": "app@first.example"}
        assert api_client.patch("/credentials/mail", json={"values": values}).status_code == 200
    task_id = a_task(tenant, assignees=(ada,), **MAIL)
    assert api_client.post(f"/tasks/{task_id}/complete", json={"decision": "approve"}).status_code == 200


def test_a_sweep_writes_no_more_than_it_has_time_for(tenant, mail_server, ada, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(notices, "_mail_all", lambda *_: False)
        task_id = a_task(tenant, assignees=(ada,), **MAIL)
    TaskService(tenant).tidy(task_id, time.monotonic() - 1)
    assert written(mail_server) == []
    TaskService(tenant).tidy(task_id)
    assert written(mail_server) == ["ada@first.example"]
