from __future__ import annotations

import pytest

from shared.errors import RateLimited, Unavailable
from shared.notifications import service as notifications
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Principal
from stepfunctions import control, fire
from stepfunctions.arrivals import MAX_CHAIN
from stepfunctions.engine.payloads import Value
from stepfunctions.feed import feed
from stepfunctions.start import payload_objects
from tests import triggered
from tests.arriving import bus
from tests.table_stream import TableStream

FAILURE = {"node_id": "bad", "error": "InvalidInput", "message": "no json"}
MANUAL = {"id": "start", "type": "manual_trigger"}


@pytest.fixture
def sent(aws):
    with bus() as found:
        yield found


@pytest.fixture
def stream(aws) -> TableStream:
    return TableStream()


def released(client, *, error_workflow: str | None = None, trigger=MANUAL, **more) -> str:
    body = triggered.document(trigger, **more)
    body["nodes"].append({"id": "bad", "type": "json_parse", "name": "Reads", "inputs": {"input": "{"}})
    body["settings"] = {"error_workflow": error_workflow}
    workflow_id = triggered.create(client, body)
    triggered.publish(client, workflow_id)
    return workflow_id


def fail(client, tenant, workflow_id: str, data=None) -> str:
    answer = client.post(f"/workflows/{workflow_id}/execute", json={"trigger_data": data})
    assert answer.status_code in (200, 202), answer.text
    assert RunStore(TenantTable(tenant)).close(answer.json()["id"], "failed", error=FAILURE)
    return str(answer.json()["id"])


def runs_of(tenant, workflow_id: str):
    store = RunStore(TenantTable(tenant))
    return [store.shape(i) for i in store.page(workflow_id, start=None, limit=100).items]


def told_to(owner, tenant) -> list[str]:
    me = Principal(tenant, "user", owner.user.id, "owner", owner.user.id)
    return [n.message for n in notifications.listing(me, None, 50, unread=True).items]


def test_a_failure_starts_the_error_workflow_with_all_about_it(api_client, tenant, sent, stream):
    handler = released(api_client)
    breaking = released(api_client, error_workflow=handler, name="Breaks")
    run_id = fail(api_client, tenant, breaking, {"n": 7, "text": "x" * 20_000})
    assert feed(stream.records()) == []
    (started,) = sent.deliver()
    (run,) = runs_of(tenant, handler)
    assert (run.id, run.trigger_node, run.chain) == (started, "start", 1)
    assert run.triggered_by == {"kind": "error", "id": run_id, "user": None}
    data = Value(encoded=run.trigger, objects=payload_objects(tenant)).get()
    failed = RunStore(TenantTable(tenant)).get(run_id)
    assert data["execution"].pop("completed_at").endswith("Z")
    assert data == {
        "execution": {
            "id": run_id,
            "status": "failed",
            "attempt": 0,
            "started_at": None,
            "triggered_by": dict(failed.triggered_by),
        },
        "workflow": {"id": breaking, "name": "Breaks", "version": 1},
        "error": {"error": "InvalidInput", "message": "no json"},
        "node": {"id": "bad", "name": "Reads", "type": "json_parse"},
        "trigger": {"node_id": "start", "data": {"n": 7, "text": "x" * 20_000}},
    }


def test_one_run_for_each_failure_however_often_it_is_told(api_client, tenant, sent, stream):
    handler = released(api_client)
    run_id = fail(api_client, tenant, released(api_client, error_workflow=handler))
    records = stream.records()
    for _ in range(3):
        assert feed(records) == []
    assert len(set(sent.deliver())) == 1
    control.retry(tenant, run_id)
    assert RunStore(TenantTable(tenant)).close(run_id, "failed", error=FAILURE)
    assert feed([*records, *stream.records()]) == []
    assert len(set(sent.deliver())) == 1  # the first failure is over: the run was retried since
    assert len(runs_of(tenant, handler)) == 2


def test_without_one_or_for_other_ends_nothing_starts(api_client, tenant, sent, stream):
    handler = released(api_client)
    plain, caring = released(api_client), released(api_client, error_workflow=handler)
    fail(api_client, tenant, plain)
    answer = api_client.post(f"/workflows/{caring}/execute", json={})
    assert RunStore(TenantTable(tenant)).close(answer.json()["id"], "cancelled")
    lone = api_client.post(f"/workflows/{caring}/nodes/bad/execute", json={"inputs": {"input": "{"}})
    assert RunStore(TenantTable(tenant)).close(lone.json()["id"], "failed", error=FAILURE)
    draft = api_client.post(f"/workflows/{caring}/execute", json={"version": "draft"})
    assert RunStore(TenantTable(tenant)).close(draft.json()["id"], "failed", error=FAILURE)
    assert feed(stream.records()) == []
    assert sent.deliver() == []
    assert runs_of(tenant, handler) == []


def test_an_error_workflow_that_fails_itself_ends(api_client, tenant, sent, stream):
    handler = released(api_client)
    body = api_client.get(f"/workflows/{handler}").json()
    body = {name: body[name] for name in ("name", "nodes", "connections")} | {"settings": {"error_workflow": handler}}
    assert api_client.put(f"/workflows/{handler}", json=body).status_code == 200
    triggered.publish(api_client, handler)
    fail(api_client, tenant, handler)
    store = RunStore(TenantTable(tenant))
    for _ in range(2 * MAX_CHAIN):
        assert feed(stream.records()) == []
        for started in sent.deliver():
            store.close(started, "failed", error=FAILURE)
    runs = sorted(runs_of(tenant, handler), key=lambda r: r.chain)
    assert [r.chain for r in runs] == list(range(MAX_CHAIN + 2))
    assert [r.error["error"] for r in runs[-2:]] == ["InvalidInput", "ChainTooLong"]


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        (lambda _: "wf_nobody", "it is not published"),
        (lambda client: triggered.create(client, triggered.document(MANUAL)), "it is not published"),
        (lambda client: released(client, trigger=triggered.schedule()), "it has no manual trigger"),
        (lambda client: released(client, trigger={**MANUAL, "disabled": True}), "it has no manual trigger"),
    ],
    ids=["not there", "a draft", "without a manual trigger", "with a disabled one"],
)
def test_where_it_cannot_be_started_admins_are_told_once(api_client, tenant, owner, sent, stream, prepare, why):
    breaking = released(api_client, error_workflow=prepare(api_client))
    for _ in range(2):
        fail(api_client, tenant, breaking)
    assert feed(stream.records()) == []
    assert sent.deliver() == []
    (told,) = told_to(owner, tenant)
    assert why in told


def test_another_tenants_workflow_is_not_there(api_client, other_client, tenant, other_tenant, owner, sent, stream):
    theirs = released(other_client)
    fail(api_client, tenant, released(api_client, error_workflow=theirs))
    assert feed(stream.records()) == []
    assert sent.deliver() == []
    assert runs_of(other_tenant, theirs) == []


def test_a_quota_is_recorded_and_trouble_comes_again(api_client, tenant, sent, stream, monkeypatch):
    handler = released(api_client)
    fail(api_client, tenant, released(api_client, error_workflow=handler))
    assert feed(stream.records()) == []
    waiting = list(sent.waiting)

    def refuses(error):
        def start(*_: object, **__: object):
            raise error

        return start

    with monkeypatch.context() as patch:
        patch.setattr(fire, "start", refuses(Unavailable("busy")))
        with pytest.raises(Unavailable):
            sent.deliver()
        assert runs_of(tenant, handler) == []
        patch.setattr(fire, "start", refuses(RateLimited("too many runs", retry_after=60)))
        sent.waiting = waiting
        sent.deliver()
    (run,) = runs_of(tenant, handler)
    assert (run.status, run.error["error"]) == ("failed", "NotStarted")
    assert "too many runs" in run.error["message"]
