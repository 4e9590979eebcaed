"""What guided conversations tell subscribers and listeners, from the table's stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.aws.streams import Change
from shared.clock import now_ms
from shared.errors import Unavailable
from shared.runs.store import RunStore
from shared.store.keys import is_guided
from shared.store.table import TenantTable
from shared.tenancy import Principal
from shared.webhooks_out import service
from shared.webhooks_out.service import Wanted
from shared.webhooks_out.store import WebhookSubscriptionStore
from stepfunctions import guided_progress
from stepfunctions.feed import feed
from stepfunctions.guided_events import events_of
from tests.arriving import bus
from tests.stepfunctions.guided_talk import ALL, EVERYTHING, Person, body, says, template, thinking
from tests.stepfunctions.test_arrivals import listener, released
from tests.table_stream import TableStream

NONE = {"confirm": False, "end_action_type": "none"}
KNOWN = {"name": "Ada Lovelace", "amount": 120, "damaged": False, "email": "ada@example.com"}


@pytest.fixture
def stream(aws) -> TableStream:
    return TableStream()


@pytest.fixture
def mind(machines, monkeypatch):
    with thinking(monkeypatch) as made:
        yield made


@pytest.fixture
def everything(tenant) -> str:
    """A subscription to all events of all workflows."""
    who = Principal(tenant, "api_key", "key_a", "editor")
    return service.create(who, Wanted(url="https://example.com/hook"))[0].id


def guided(client, **fields: Any) -> Person:
    body(client.post("/workflow-templates", json=template(**fields)), 201)
    return Person(client)


def sent(tenant, subscription_id: str) -> list[dict[str, Any]]:
    """The bodies of all deliveries, in the order of their events."""
    found = WebhookSubscriptionStore(TenantTable(tenant)).deliveries(subscription_id, None, 200, None).items
    return sorted((json.loads(d.body) for d in found), key=lambda b: b["data"].get("sequence", ""))


def told(tenant, subscription_id: str) -> list[tuple[str, str]]:
    return [(b["type"], b["data"]["status"]) for b in sent(tenant, subscription_id)]


def test_a_conversation_that_completes_tells_so_and_the_platforms_own_runs_nothing(
    api_client, tenant, mind, stream, everything
):
    mind.answers = [ALL, says("And?", skips=[{"step": "contact", "evidence": "no mail"}])]
    ada = guided(api_client, **NONE)
    ada.begin(conversation_id="ada@example.com")
    ada.hears(EVERYTHING)
    assert ada.hears("no mail")["instance"]["status"] == "completed"
    records = stream.records()
    assert any("EX#" in r["dynamodb"]["Keys"]["PK"]["S"] for r in records)  # the questions to the model were runs
    for _ in range(2):  # and once more: it changes nothing
        assert feed(records) == []
    assert told(tenant, everything) == [("guided_started", "active"), ("guided_completed", "completed")]
    started, ended = sent(tenant, everything)
    assert set(started["data"]) == {"sequence", "instance_id", "template", "template_version", "status"}
    assert set(ended["data"]) == set(started["data"])
    assert (ended["data"]["instance_id"], ended["data"]["template"]) == (ada.instance, "claim")
    assert ended["timestamp"] == ada.now()["ended_at"]
    shown = json.dumps([started, ended])
    assert not any(word in shown for word in ("Ada", "120", "ada@example.com", "key_", "us_"))


def test_one_that_is_complete_from_the_beginning_has_begun_and_ended(api_client, tenant, mind, stream, everything):
    ada = guided(api_client, **NONE)
    assert ada.begin(state=KNOWN)["status"] == "completed"
    assert feed(stream.records()) == []
    assert told(tenant, everything) == [("guided_started", "active"), ("guided_completed", "completed")]


def test_cancelled_and_expired(api_client, tenant, mind, stream, everything, monkeypatch):
    ada = guided(api_client, **NONE)
    ada.begin()
    ada.act("cancel")
    assert feed(stream.records()) == []
    assert told(tenant, everything) == [("guided_started", "active"), ("guided_cancelled", "cancelled")]
    late = ada.begin()
    monkeypatch.setattr(guided_progress, "now_ms", lambda: now_ms() + 8 * 86_400_000)
    assert guided_progress.look_at(tenant, late["id"]) == "expired"
    monkeypatch.undo()
    assert feed(stream.records()) == []
    assert told(tenant, everything)[2:] == [("guided_started", "active"), ("guided_expired", "cancelled")]


def test_an_end_action_that_fails_and_is_tried_again(api_client, tenant, machines, mind, stream, everything):
    ends = {"end_action_type": "tool_call", "end_action_target": "calculate", "confirm": False}
    ada = guided(api_client, **ends)
    ada.begin(state=KNOWN)
    failed = ada.now(wait=20)
    assert failed["status"] == "failed", failed
    run = failed["end_action"]["execution_id"]
    assert feed(stream.records()) == []
    assert told(tenant, everything) == [("guided_started", "active"), ("guided_failed", "failed")]
    assert sent(tenant, everything)[1]["data"]["execution_id"] == run
    ada.act("retry", {"wait_seconds": 20}, 200, 202)
    assert ada.now(wait=20)["status"] == "failed"
    assert feed(stream.records()) == []
    assert told(tenant, everything)[2:] == [("guided_started", "active"), ("guided_failed", "failed")]
    assert sent(tenant, everything)[3]["data"]["execution_id"] != run


def test_who_subscribes_to_some_workflows_or_events_is_told_of_no_others(api_client, tenant, mind, stream):
    who = Principal(tenant, "api_key", "key_a", "editor")
    some = service.create(who, Wanted(url="https://example.com/some", workflow_ids=["wf_1"]))[0].id
    ends = service.create(who, Wanted(url="https://example.com/ends", events=["guided_cancelled"]))[0].id
    ada = guided(api_client, **NONE)
    ada.begin()
    ada.act("cancel")
    assert feed(stream.records()) == []
    assert told(tenant, some) == []
    assert told(tenant, ends) == [("guided_cancelled", "cancelled")]


def test_a_workflow_listens(api_client, tenant, machines, mind, stream):
    pattern = {"source": ["statewright"], "detail-type": ["guided_completed"], "detail": {"template": ["claim"]}}
    released(api_client, listener(**pattern), "event")
    ada = guided(api_client, **NONE)
    ada.begin(state=KNOWN)
    with bus() as found:
        records = stream.records()
        assert feed(records) == []
        assert feed(records) == []
        (run_id,) = set(found.deliver())
    run = RunStore(TenantTable(tenant)).get(run_id)
    heard = machines.value(run.trigger)["event"]
    assert run.chain == 1
    assert (heard["detail-type"], heard["detail"]["instance_id"]) == ("guided_completed", ada.instance)
    assert (heard["detail"]["status"], "state" in heard["detail"]) == ("completed", False)


def test_who_cannot_be_told_is_told_later_and_holds_up_nobody(
    api_client, tenant, mind, stream, everything, monkeypatch
):
    ada = guided(api_client, **NONE)
    ada.begin(state=KNOWN)
    records = stream.records()
    numbers = [r["dynamodb"]["SequenceNumber"] for r in records if r["dynamodb"]["Keys"]["SK"]["S"] == ada.instance]

    def refuse(*_: Any) -> None:
        raise Unavailable("no")

    with monkeypatch.context() as patch:
        patch.setattr("stepfunctions.guided_events.announce_guided", refuse)
        assert feed(records) == numbers[:1]
    assert len(told(tenant, everything)) == 2
    assert feed(records) == []
    assert len(told(tenant, everything)) == 2


def test_a_workflow_of_that_name_is_no_conversation():
    assert is_guided("T#t01#GUIDED")
    assert not any(map(is_guided, ("T#t01#WF#GUIDED", "T#t01#GUIDEDIN#x", "GUIDED", "WS#GUIDED", "T#GUIDED")))


def test_a_record_that_cannot_be_understood_is_no_event():
    odd = Change("1", "MODIFY", "T#x#GUIDED", "gi_1", 5, {"status": "active"}, {"status": "gone", "template": "t"})
    with pytest.raises(KeyError):
        events_of("gi_1", odd)
    same = {"status": "active"}
    assert events_of("gi_1", Change("1", "MODIFY", "T#x#GUIDED", "gi_1", 5, same, same)) == []
