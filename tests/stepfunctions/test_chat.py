from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from infrastructure.local import interpreter
from shared.chats.store import TurnStore
from shared.errors import Unavailable
from shared.ids import digest
from shared.runs.store import RunStore
from shared.store.table import Change, TenantTable
from shared.tenancy import Principal
from shared.threads.store import ThreadStore
from stepfunctions import chat as chats
from stepfunctions import start as starting
from stepfunctions.feed import feed
from tests import http_api, triggered
from tests.table_stream import TableStream


@pytest.fixture
def who(tenant, owner):
    return Principal(tenant, "user", owner.user.id, "owner", user_id=owner.user.id)


@pytest.fixture
def workflow(api_client):
    return released(api_client)


def released(client):
    """Answers with the message and how much was said before."""
    expression = "{{ trigger.message & ' after ' & $string($count(trigger.history)) }}"
    body = {
        "name": "Chat",
        "nodes": [
            {"id": "chat", "type": "chat_trigger", "config": {"history_limit": 3}},
            {"id": "out", "type": "output", "inputs": {"value": expression}},
        ],
        "connections": [],
    }
    made = triggered.create(client, body)
    triggered.publish(client, made)
    return made


def say(client, workflow, message, thread=None, wait=20.0, key=None):
    body = {"message": message, "wait_seconds": wait} | ({"thread_id": thread} if thread else {})
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(f"/workflows/{workflow}/chat", json=body, headers=headers)


def said(tenant, thread):
    return [(m["role"], m["content"]) for m in ThreadStore(TenantTable(tenant)).history(thread, 100)]


def finish(tenant, execution_id, output):
    stored = starting.Value(output).store(starting.payload_objects(tenant))
    return RunStore(TenantTable(tenant)).close(execution_id, "completed", final_output=stored)


def test_a_chat_keeps_its_thread(api_client, tenant):
    with interpreter.running():
        workflow = released(api_client)
        first = say(api_client, workflow, "hello")
        assert first.status_code == 200, first.text
        thread = first.json()["thread_id"]
        assert first.json()["answer"] == "hello after 0"
        second = say(api_client, workflow, "more", thread)
        third = say(api_client, workflow, "more", thread)
    assert [a.json()["answer"] for a in (second, third)] == ["more after 2", "more after 3"]  # the limit
    assert said(tenant, thread) == [
        ("user", "hello"),
        ("assistant", "hello after 0"),
        ("user", "more"),
        ("assistant", "more after 2"),
        ("user", "more"),
        ("assistant", "more after 3"),
    ]
    run = RunStore(TenantTable(tenant)).get(first.json()["execution_id"])
    assert (run.triggered_by["kind"], run.triggered_by["id"]) == ("chat", thread)


def test_an_answer_reaches_the_thread_although_the_caller_went_away(api_client, tenant, workflow):
    stream = TableStream()
    gone = say(api_client, workflow, "hello", "t-1", wait=0)
    assert (gone.status_code, gone.json()["answer"]) == (202, None)
    assert said(tenant, "t-1") == [("user", "hello")]
    finish(tenant, gone.json()["execution_id"], {"n": [1, "ü"]})
    records = stream.records()
    for _ in range(2):  # the stream hands over twice
        assert feed(records) == []
    assert said(tenant, "t-1") == [("user", "hello"), ("assistant", '{"n": [1, "ü"]}')]
    assert say(api_client, workflow, "more", "t-1", wait=0).status_code == 202


def test_without_the_stream_the_next_message_sees_to_the_answer(api_client, tenant, workflow):
    run = say(api_client, workflow, "hello", "t-1", wait=0).json()["execution_id"]
    finish(tenant, run, "hi")
    again = say(api_client, workflow, "more", "t-1", wait=0)
    assert again.status_code == 202
    assert said(tenant, "t-1") == [("user", "hello"), ("assistant", "hi"), ("user", "more")]
    data = RunStore(TenantTable(tenant)).get(again.json()["execution_id"]).trigger["v"]
    assert [m["content"] for m in data["history"]] == ["hello", "hi"]
    assert (data["message"], data["thread_id"]) == ("more", "t-1")


def test_everybody_at_once_and_there_is_one_answer(api_client, tenant, workflow, who):
    run = say(api_client, workflow, "hello", "t-1", wait=0).json()["execution_id"]
    ended = finish(tenant, run, "hi")
    together = threading.Barrier(6)

    def one(_n):
        together.wait()
        chats.settle(tenant, ended)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(one, range(6)))
    assert said(tenant, "t-1") == [("user", "hello"), ("assistant", "hi")]
    assert who


def test_one_message_of_a_thread_at_a_time(api_client, tenant, workflow):
    first = say(api_client, workflow, "hello", "t-1", wait=0).json()["execution_id"]
    busy = say(api_client, workflow, "more", "t-1", wait=0)
    assert (busy.status_code, busy.json()["code"]) == (409, "thread_busy")
    assert first in busy.json()["detail"]
    assert said(tenant, "t-1") == [("user", "hello")]
    assert say(api_client, workflow, "elsewhere", "t-2", wait=0).status_code == 202
    together = threading.Barrier(5)

    def one(_n):
        together.wait()
        return say(api_client, workflow, "all", "t-3", wait=0).status_code

    with ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(one, range(5))) == [202, 409, 409, 409, 409]
    assert said(tenant, "t-3") == [("user", "all")]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_run_without_an_answer_frees_the_thread(api_client, tenant, workflow, status):
    run = say(api_client, workflow, "hello", "t-1", wait=0).json()["execution_id"]
    error = {"node_id": "n", "error": "HttpError", "message": "m"}
    RunStore(TenantTable(tenant)).close(run, status, error=error if status == "failed" else None)
    assert say(api_client, workflow, "more", "t-1", wait=0).status_code == 202
    assert said(tenant, "t-1") == [("user", "hello"), ("user", "more")]


def test_a_failed_run_is_named_and_not_told_of(api_client, tenant, workflow, monkeypatch):
    real = starting.start

    def fails(tenant, *arguments, **more):
        run = real(tenant, *arguments, **more)
        RunStore(TenantTable(tenant)).close(
            run.id, "failed", error={"node_id": "n", "error": "Boom", "message": "secret"}
        )
        return run

    monkeypatch.setattr(chats, "start", fails)
    answer = say(api_client, workflow, "hello", "t-1")
    assert (answer.status_code, answer.json()["status"], answer.json()["error"]) == (200, "failed", "Boom")
    assert "secret" not in answer.text


def test_a_repeat_with_the_same_key_is_one_message(api_client, tenant, workflow):
    answers = [say(api_client, workflow, "hello", wait=0, key="k1") for _ in range(2)]
    assert len({(a.json()["execution_id"], a.json()["thread_id"]) for a in answers}) == 1
    assert said(tenant, answers[0].json()["thread_id"]) == [("user", "hello")]


def test_a_caller_that_died_before_the_run_was_there_holds_nothing_up_for_long(
    api_client, tenant, workflow, who, monkeypatch
):
    mark = digest("m")

    class Died(BaseException):
        pass

    def dies(*_a, **_k):
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(chats, "start", dies)
        with pytest.raises(Died):
            chats.chat(who, workflow, "hello", "t-1", 0, mark)
    assert say(api_client, workflow, "more", "t-1", wait=0).status_code == 409  # it may yet come
    for text in ("hello", "one", "two", "three", "four"):  # said meanwhile, and no history to the message before it
        ThreadStore(TenantTable(tenant)).append("t-1", [{"role": "user", "content": text}], key=text)
    reply = chats.chat(who, workflow, "hello", "t-1", 0, mark)  # its repeat takes up what was begun
    assert said(tenant, "t-1").count(("user", "hello")) == 2
    assert RunStore(TenantTable(tenant)).get(reply.run.id).trigger["v"]["history"] == []
    with monkeypatch.context() as patch:
        patch.setattr(chats, "start", dies)
        with pytest.raises(Died):
            chats.chat(who, workflow, "lost", "t-2", 0, None)
    table = TenantTable(tenant)
    table.update(table.keys.turn(digest("t-2")), Change(set={"at": 5}))  # long ago
    assert say(api_client, workflow, "more", "t-2", wait=0).status_code == 202


def test_a_run_that_could_not_be_started_leaves_the_thread_free(api_client, tenant, workflow, who, monkeypatch):
    def fails(*_a, **_k):
        raise Unavailable("no")

    with monkeypatch.context() as patch:
        patch.setattr(chats, "start", fails)
        assert say(api_client, workflow, "hello", "t-1", wait=0).status_code == 503
    assert TurnStore(TenantTable(tenant)).take("t-1", "ex_other") is None
    assert who


def test_a_thread_that_was_removed_does_not_come_back(api_client, tenant, workflow):
    run = say(api_client, workflow, "hello", "t-1", wait=0).json()["execution_id"]
    assert api_client.delete("/threads/t-1").status_code == 204
    chats.settle(tenant, finish(tenant, run, "hi"))
    assert said(tenant, "t-1") == []
    assert api_client.get("/threads/t-1").status_code == 404


def test_a_long_answer_is_cut_in_the_thread(api_client, tenant, workflow):
    run = say(api_client, workflow, "hello", "t-1", wait=0).json()["execution_id"]
    chats.settle(tenant, finish(tenant, run, "ü" * 400_000))
    ((_, _), (_, text)) = said(tenant, "t-1")
    assert text.startswith("üü")
    assert text.endswith(" …")
    assert len(chats.shown("x" * 1_200_000)) < 200_000


@pytest.mark.parametrize("character", ["\x01", "\\", '"', "😀", "\x01ü"])
def test_any_long_answer_fits_into_the_thread_and_frees_it(api_client, tenant, workflow, character):
    run = say(api_client, workflow, "hello", "t-1", wait=0).json()["execution_id"]
    chats.settle(tenant, finish(tenant, run, character * 200_000))
    assert said(tenant, "t-1")[1][1].startswith(character * 10_000)
    assert say(api_client, workflow, "more", "t-1", wait=0).status_code == 202


def test_tenants_threads_are_their_own(api_client, other_client, tenant, other_tenant, workflow):
    assert say(api_client, workflow, "mine", "t-1", wait=0).status_code == 202
    assert say(other_client, workflow, "theirs", "t-1", wait=0).status_code == 404
    assert said(other_tenant, "t-1") == []


def test_workflows_that_are_no_chat(api_client, workflow):
    plain = triggered.create(api_client, triggered.document({"id": "start", "type": "manual_trigger"}))
    assert say(api_client, plain, "hello").json()["code"] == "no_chat"
    triggered.publish(api_client, plain)
    assert say(api_client, plain, "hello").json()["code"] == "no_chat"
    assert say(api_client, "wf_none", "hello").status_code == 404
    assert api_client.post(f"/workflows/{workflow}/unpublish").status_code == 200
    answer = say(api_client, workflow, "hello")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_chat")


BAD = {
    "no body": None,
    "no message": {},
    "an empty message": {"message": ""},
    "a number": {"message": 5},
    "a long message": {"message": "x" * 100_001},
    "a thread that is none": {"message": "x", "thread_id": "a b"},
    "an empty thread": {"message": "x", "thread_id": ""},
    "too patient": {"message": "x", "wait_seconds": 26},
    "impatient": {"message": "x", "wait_seconds": -1},
    "an unknown field": {"message": "x", "history": []},
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_bad_requests(api_client, workflow, body):
    assert api_client.post(f"/workflows/{workflow}/chat", json=body).status_code == 422


def test_a_message_that_is_too_large_for_a_thread(api_client, tenant, workflow):
    answer = say(api_client, workflow, "\N{FOX FACE}" * 60_000, "t-1")
    assert answer.status_code == 413
    assert said(tenant, "t-1") == []
    assert say(api_client, workflow, "x", "t-1", wait=0).status_code == 202


@pytest.mark.parametrize(
    ("role", "scopes", "status"),
    [
        ("viewer", None, 403),
        ("operator", ["tasks:*"], 403),
        ("operator", None, 202),
        ("operator", ["executions:*"], 202),
    ],
)
def test_who_may_start_runs_may_chat(api_client, workflow, role, scopes, status):
    body = {"name": "k", "role": role} | ({"scopes": scopes} if scopes else {})
    key = api_client.post("/api-keys", json=body).json()["key"]
    with http_api.connect(key) as client:
        assert say(client, workflow, "hello", wait=0).status_code == status
