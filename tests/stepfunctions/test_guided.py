"""Conversations over HTTP, with a model that works by a script, on moto's interpreter."""

from __future__ import annotations

import pytest

from shared.ids import digest
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from stepfunctions.fire import id_for
from tests import http_api
from tests.stepfunctions.guided_talk import ALL, EVERYTHING, Person, body, says, template, thinking, update


@pytest.fixture
def mind(machines, monkeypatch):
    with thinking(monkeypatch) as made:
        yield made


@pytest.fixture
def ada(api_client, mind):
    body(api_client.post("/workflow-templates", json=template()), 201)
    return Person(api_client)


def test_a_conversation_from_the_beginning_to_the_end(ada, mind):
    mind.answers = [
        says("Hello Ada. How much is it?", update("name", "Ada Lovelace", "I'm Ada Lovelace")),
        says("Was it damaged?", update("amount", 120.5, "it was 120,50")),
        says("What happened to it?", update("damaged", True, "it broke")),
        says("How can we reach you?", update("damage", "a crack", "There is a crack")),
        says("Fine.", skips=[{"step": "contact", "evidence": "rather not"}]),
        says("So it is 99.", update("amount", 99, "No, 99")),
        says("Done.", agrees="that is right"),
    ]
    begun = ada.begin(conversation_id="chat-1")
    assert (begun["status"], begun["current_step"], begun["missing"]) == ("active", "who", ["name"])
    first = ada.hears("Hello, I\u2019m Ada  lovelace")
    assert first["turn"]["reply"] == "Hello Ada. How much is it?"
    assert first["turn"]["taken"] == ["name"]
    now = first["instance"]
    assert (now["state"], now["current_step"], now["missing"]) == (
        {"name": "Ada Lovelace"},
        "what",
        ["amount", "damaged"],
    )
    assert now["evidence"]["name"] == {"quote": "I'm Ada Lovelace", "message": 0, "by": None}
    assert ada.hears("it was 120,50 euro")["instance"]["missing"] == ["damaged"]
    assert ada.hears("yes, it broke")["instance"]["current_step"] == "damage"
    assert ada.hears("There is a crack")["instance"]["current_step"] == "contact"
    fifth = ada.hears("rather not")
    assert fifth["instance"]["phase"] == "confirming"
    assert [s["status"] for s in fifth["instance"]["steps"]] == ["done", "done", "done", "skipped"]
    assert fifth["turn"]["reply"] == (
        "Fine.\n\n- Your name: Ada Lovelace\n- amount: 120.5\n- damaged: true\n- damage: a crack\n"
        "Please check this. Is it right?"
    )
    assert fifth["instance"]["summary"][1] == {
        "field": "amount",
        "title": "amount",
        "value": 120.5,
        "quote": "it was 120,50",
    }
    sixth = ada.hears("No, 99")
    assert "- amount: 99" in sixth["turn"]["reply"]
    assert (sixth["instance"]["status"], sixth["instance"]["phase"]) == ("active", "confirming")
    last = ada.hears("Yes, that is right")
    assert (last["instance"]["status"], last["turn"]["reply"]) == ("completed", "Done.")
    assert last["instance"]["state"] == {"name": "Ada Lovelace", "amount": 99, "damaged": True, "damage": "a crack"}
    assert ada.say("more").json()["code"] == "not_active"
    assert len(mind.asked) == 7
    assert len(ada.said()) == 14
    assert "Be kind." in mind.told(0)


def test_all_at_once(ada, mind):
    mind.answers = [ALL, says("And?", skips=[{"step": "contact", "evidence": "no mail"}])]
    ada.begin()
    said = ada.hears(EVERYTHING)
    assert said["instance"]["current_step"] == "contact"
    assert ada.hears("no mail")["instance"]["phase"] == "confirming"
    agreed = ada.act("confirm", {"wait_seconds": 5})
    assert agreed["status"] == "completed"


def test_the_runs_of_a_conversation_are_not_for_everybody(api_client, ada, mind, tenant):
    """Who reads runs does not read conversations by them."""
    mind.answers = [ALL]
    ada.begin()
    ada.hears(EVERYTHING)
    run = RunStore(TenantTable(tenant)).get(id_for(tenant, digest("guided", ada.instance, "0", "0"))).id
    assert EVERYTHING in api_client.get(f"/workflows/executions/{run}").text
    for role, status in (("viewer", 404), ("editor", 404), ("admin", 200)):
        key = body(api_client.post("/api-keys", json={"name": "k", "role": role}), 201)["key"]
        with http_api.connect(key) as client:
            for what in ("", "/nodes/ask", "/events"):
                answer = client.get(f"/workflows/executions/{run}{what}")
                assert answer.status_code == status, (role, what, answer.text)
