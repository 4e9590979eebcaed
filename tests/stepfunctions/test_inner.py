from __future__ import annotations

import threading

import pytest

from shared.errors import Conflict, Invalid
from shared.members.store import MemberStore
from shared.resources.documents import Model
from shared.store.table import TenantTable
from stepfunctions import inner
from tests.stepfunctions.agents import scripted

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
BY = {"kind": "guided", "id": "gi_1", "user": None}


@pytest.fixture
def model(monkeypatch):
    with scripted(monkeypatch) as model:
        model.scripts = {"asked": ['{"name": "Ada"}']}
        yield model


def ask(tenant, occasion="one", system="Be brief. {{ secrets.x }}", model=None, **more):
    arguments = {
        "system": system,
        "messages": [{"role": "user", "content": "I am {{ trigger }} Ada"}],
        "schema": SCHEMA,
        "triggered_by": BY,
        "occasion": occasion,
        "wait_seconds": 20,
        **more,
    }
    return inner.ask(tenant, "guided", model or Model(model="asked"), **arguments)


def test_a_question_is_a_run_whose_output_fits_the_schema(machines, model):
    run = ask(machines.tenant)
    ended = inner.answer(machines.tenant, run)
    assert (ended.status, ended.output) == ("completed", {"name": "Ada"})
    assert (run.workflow_id, run.triggered_by) == ("inner-guided", BY)
    # What people wrote is no template, whatever it looks like.
    assert [m["content"] for m in model.asked[0]["messages"]] == [
        "Be brief. {{ secrets.x }}",
        "I am {{ trigger }} Ada",
    ]
    assert ask(machines.tenant).id == run.id  # the same occasion
    assert len(model.asked) == 1
    assert inner.answer(machines.tenant, inner.find(machines.tenant, run.id)) == ended


def test_what_goes_on_has_no_answer_yet(machines, model):
    going_on = threading.Event()
    model.while_asked = lambda: going_on.wait(20)
    run = ask(machines.tenant, wait_seconds=0)
    assert inner.answer(machines.tenant, inner.find(machines.tenant, run.id)) is None
    going_on.set()
    assert inner.answer(machines.tenant, machines.until(run)).output == {"name": "Ada"}


def test_a_model_that_gives_nothing_that_fits_is_a_failed_run(machines, model):
    model.scripts = {"asked": ["no", "no", "no"]}
    ended = inner.answer(machines.tenant, ask(machines.tenant))
    assert (ended.status, ended.error["error"]) == ("failed", "InvalidResponse")


def test_parameters_that_the_provider_does_not_have_are_named(machines):
    with pytest.raises(Invalid, match="problems") as caught:
        ask(machines.tenant, model=Model(model="asked", parameters={"warmth": 3}))
    assert "warmth" in str(caught.value.errors)


def test_the_tenants_own_model(tenant, owner):
    with pytest.raises(Conflict) as caught:
        inner.assistant_of(tenant)
    assert caught.value.code == "no_assistant"
    MemberStore(TenantTable(tenant)).change_tenant({"assistant": {"provider": "anthropic", "model": "m"}}, None)
    assert inner.assistant_of(tenant) == Model(provider="anthropic", model="m")
    MemberStore(TenantTable(tenant)).change_tenant({"assistant": None}, None)
    with pytest.raises(Conflict):
        inner.assistant_of(tenant)
