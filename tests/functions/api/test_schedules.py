from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from botocore.exceptions import ClientError

from shared.aws import clients
from shared.errors import Unavailable
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.triggers.store import TriggerStore
from tests import http_api, triggered
from tests.functions.api.test_webhooks import key_with

MONDAYS = {"cron": "30 9 * * MON", "timezone": "Europe/Berlin"}


def published(client, **config):
    workflow = triggered.create(client, triggered.document(triggered.schedule(**config)))
    return workflow, triggered.publish(client, workflow)["clock"]["id"]


def test_a_schedule_shows_its_next_five_runs(api_client):
    workflow, schedule_id = published(api_client, **MONDAYS)
    answer = api_client.get(f"/schedules/{schedule_id}")
    assert answer.status_code == 200
    found = answer.json()
    runs = [datetime.fromisoformat(t.replace("Z", "+00:00")) for t in found.pop("next_runs")]
    assert len(runs) == 5
    assert all(r > datetime.now(UTC) and r.weekday() == 0 and (r.hour, r.minute) in {(7, 30), (8, 30)} for r in runs)
    assert all(timedelta(days=6, hours=22) < b - a < timedelta(days=7, hours=2) for a, b in pairwise(runs))
    assert found.pop("created_at").endswith("Z")
    assert found == {
        "id": schedule_id,
        "workflow_id": workflow,
        "node_id": "clock",
        "state": "active",
        "config": MONDAYS,
        "last_run_at": None,
        "last_execution_id": None,
    }
    assert answer.headers["etag"] == '"1"'


def test_pausing_and_going_on(api_client):
    _, schedule_id = published(api_client)
    first = api_client.get(f"/schedules/{schedule_id}").headers["etag"]
    paused = api_client.patch(f"/schedules/{schedule_id}", json={"state": "paused"}, headers={"If-Match": first})
    assert (paused.status_code, paused.json()["state"], paused.json()["next_runs"]) == (200, "paused", [])
    assert paused.headers["etag"] != first
    assert triggered.scheduled(schedule_id)["State"] == "DISABLED"
    stale = api_client.patch(f"/schedules/{schedule_id}", json={"state": "active"}, headers={"If-Match": first})
    assert stale.status_code == 412
    again = api_client.patch(f"/schedules/{schedule_id}", json={"state": "paused"})
    assert again.headers["etag"] == paused.headers["etag"]
    active = api_client.patch(f"/schedules/{schedule_id}", json={"state": "active"})
    assert len(active.json()["next_runs"]) == 5
    held = triggered.scheduled(schedule_id)
    assert held["State"] == "ENABLED"
    assert held["Input"]["schedule_id"] == schedule_id  # an update replaces everything, so everything was sent


def test_a_schedule_is_paused_even_if_scheduler_cannot_be_told(api_client, monkeypatch):
    _, schedule_id = published(api_client)

    def refuse(**_arguments):
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "no"}}, "UpdateSchedule")

    with monkeypatch.context() as patch:
        patch.setattr(clients.client("scheduler"), "update_schedule", refuse)
        assert api_client.patch(f"/schedules/{schedule_id}", json={"state": "paused"}).status_code == 503
    assert triggered.tick(schedule_id, "2026-01-01T00:00:00Z") is None
    assert api_client.patch(f"/schedules/{schedule_id}", json={"state": "paused"}).status_code == 200
    assert triggered.scheduled(schedule_id)["State"] == "DISABLED"


@pytest.mark.parametrize(
    "body", [{}, {"state": "off"}, {"state": None}, {"state": "paused", "cron": "* * * * *"}, [], "paused", None]
)
def test_bad_changes(api_client, body):
    _, schedule_id = published(api_client)
    assert api_client.patch(f"/schedules/{schedule_id}", json=body).status_code == 422
    assert api_client.get(f"/schedules/{schedule_id}").json()["state"] == "active"


def test_running_now(api_client, tenant):
    workflow, schedule_id = published(api_client)
    api_client.patch(f"/schedules/{schedule_id}", json={"state": "paused"})
    answer = api_client.post(f"/schedules/{schedule_id}/run", headers={"Idempotency-Key": "k"})
    assert answer.status_code == 202, answer.text
    run = RunStore(TenantTable(tenant)).get(answer.json()["execution_id"])
    assert (run.workflow_id, run.version, run.trigger_node) == (workflow, 1, "clock")
    assert run.triggered_by["kind"] == "schedule"
    assert abs(datetime.fromisoformat(run.trigger["v"]["timestamp"]) - datetime.now(UTC)) < timedelta(minutes=1)
    again = api_client.post(f"/schedules/{schedule_id}/run", headers={"Idempotency-Key": "k"})
    assert again.json() == answer.json()
    assert api_client.post(f"/schedules/{schedule_id}/run").json() != answer.json()
    assert len(triggered.executions(workflow, api_client)) == 2


def test_the_last_run_is_shown_and_never_goes_back(api_client):
    workflow, schedule_id = published(api_client)

    def last():
        answer = api_client.get(f"/schedules/{schedule_id}")
        assert answer.headers["etag"] == '"1"'
        (listed,) = api_client.get("/schedules").json()["items"]
        assert listed == answer.json()
        return listed["last_run_at"], listed["last_execution_id"]

    second = triggered.tick(schedule_id, "2026-01-01T02:00:00Z")
    assert last() == ("2026-01-01T02:00:00.000Z", second)
    first = triggered.tick(schedule_id, "2026-01-01T01:00:00Z")  # late: its run starts all the same
    assert first not in (None, second)
    assert triggered.tick(schedule_id, "2026-01-01T02:00:00Z") == second
    assert last() == ("2026-01-01T02:00:00.000Z", second)
    triggered.publish(api_client, workflow)
    assert last() == ("2026-01-01T02:00:00.000Z", second)
    third = triggered.tick(schedule_id, "2026-01-01T03:00:00Z")
    assert last() == ("2026-01-01T03:00:00.000Z", third)
    by_hand = api_client.post(f"/schedules/{schedule_id}/run").json()["execution_id"]
    assert last()[1] == by_hand


def test_what_could_not_be_noted_is_noted_by_the_repeat_and_a_run_by_hand_has_begun(api_client, monkeypatch):
    workflow, schedule_id = published(api_client)

    def refuse(*_: object) -> None:
        raise Unavailable("no")

    with monkeypatch.context() as patch:
        patch.setattr(TriggerStore, "note_fired", refuse)
        with pytest.raises(Unavailable):  # Lambda calls again
            triggered.tick(schedule_id, "2026-01-01T02:00:00Z")
        assert api_client.post(f"/schedules/{schedule_id}/run").status_code == 202
    again = triggered.tick(schedule_id, "2026-01-01T02:00:00Z")
    assert api_client.get(f"/schedules/{schedule_id}").json()["last_execution_id"] == again
    assert len(triggered.executions(workflow, api_client)) == 2


def test_what_starts_nothing_is_no_last_run(api_client):
    _, schedule_id = published(api_client)
    api_client.patch(f"/schedules/{schedule_id}", json={"state": "paused"})
    assert triggered.tick(schedule_id, "2026-01-01T02:00:00Z") is None
    assert api_client.get(f"/schedules/{schedule_id}").json()["last_run_at"] is None


def test_a_schedule_that_is_not_published_does_not_run(api_client, tenant):
    workflow, schedule_id = published(api_client)
    from shared.workflows.store import WorkflowStore

    WorkflowStore(TenantTable(tenant)).withdraw(workflow)  # and its triggers are not removed yet
    answer = api_client.post(f"/schedules/{schedule_id}/run")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_published")


def test_a_schedule_whose_node_is_disabled_does_not_run_by_hand_either(api_client):
    workflow, schedule_id = published(api_client)
    triggered.republish(api_client, workflow, triggered.document({**triggered.schedule(), "disabled": True}))
    answer = api_client.post(f"/schedules/{schedule_id}/run")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_published")


def test_lists(api_client, other_client):
    workflow = triggered.create(api_client, triggered.document(*(triggered.schedule(f"s{n}") for n in range(3))))
    triggered.publish(api_client, workflow)
    published(api_client)
    assert len(api_client.get("/schedules").json()["items"]) == 4
    first = api_client.get("/schedules", params={"workflow_id": workflow, "limit": 2}).json()
    more = {"workflow_id": workflow, "limit": 2, "cursor": first["next_cursor"]}
    rest = api_client.get("/schedules", params=more).json()
    assert {s["node_id"] for s in first["items"] + rest["items"]} == {"s0", "s1", "s2"}
    assert other_client.get("/schedules").json() == {"items": [], "next_cursor": None}
    assert other_client.get("/schedules", params={"workflow_id": workflow}).json()["items"] == []


def test_another_tenant_reaches_nothing(api_client, other_client):
    workflow, schedule_id = published(api_client)
    assert other_client.get(f"/schedules/{schedule_id}").status_code == 404
    assert other_client.patch(f"/schedules/{schedule_id}", json={"state": "paused"}).status_code == 404
    assert other_client.post(f"/schedules/{schedule_id}/run").status_code == 404
    assert api_client.get(f"/schedules/{schedule_id}").json()["state"] == "active"
    assert triggered.executions(workflow, api_client) == []


@pytest.mark.parametrize(
    ("role", "scopes", "read", "pause", "run"),
    [
        ("viewer", None, 200, 403, 403),
        ("operator", None, 200, 403, 202),
        ("editor", None, 200, 200, 202),
        ("owner", ("schedules:read",), 200, 403, 403),
        ("owner", ("schedules:write",), 403, 200, 202),
    ],
)
def test_roles_and_scopes(api_client, role, scopes, read, pause, run):
    _, schedule_id = published(api_client)
    with http_api.connect(key_with(api_client, role, scopes)) as limited:
        assert limited.get("/schedules").status_code == read
        assert limited.get(f"/schedules/{schedule_id}").status_code == read
        assert limited.patch(f"/schedules/{schedule_id}", json={"state": "paused"}).status_code == pause
        assert limited.post(f"/schedules/{schedule_id}/run").status_code == run


def test_an_interval_counts_from_when_scheduler_was_told(api_client):
    _, schedule_id = published(api_client, every="2 hours")
    runs = api_client.get(f"/schedules/{schedule_id}").json()["next_runs"]
    assert api_client.get(f"/schedules/{schedule_id}").json()["next_runs"] == runs
    first, second = (datetime.fromisoformat(r.replace("Z", "+00:00")) for r in runs[:2])
    assert second - first == timedelta(hours=2)
    assert timedelta(hours=1, minutes=59) < first - datetime.now(UTC) <= timedelta(hours=2)
