import json

import pytest
from botocore.exceptions import ClientError

from shared.aws import clients
from shared.clock import iso, now_ms
from shared.errors import Unavailable
from shared.store.table import TenantTable
from shared.triggers.service import sync
from shared.triggers.store import TriggerStore
from shared.workflows.model import Document
from tests.triggered import document, schedule, scheduled, webhook

WF = "wf_01J00000000000000000000000"


def doc(*triggers) -> Document:
    return Document.model_validate_json(json.dumps(document(*triggers)))


def synced(tenant, version, *triggers):
    return {t["node_id"]: t for t in sync(tenant, WF, version, doc(*triggers))}


def test_a_version_gets_its_webhooks_and_schedules(tenant, aws):
    made = synced(tenant, 1, webhook(auth="hmac"), webhook("open"), schedule(cron="0 9 * * 1-5", timezone="Asia/Tokyo"))
    assert made["hook"]["url"] == f"{aws['SW_API_URL']}/hooks/{made['hook']['id']}"
    assert made["hook"]["test_url"] == f"{aws['SW_API_URL']}/hooks-test/{made['hook']['id']}"
    assert made["hook"]["secret"].startswith("whsec_")
    assert (made["open"]["auth"], "secret" in made["open"]) == ("none", False)
    assert made["clock"]["next_run_at"][10:] == "T00:00:00.000Z"  # nine in Tokyo
    held = scheduled(made["clock"]["id"])
    assert held["ScheduleExpression"] == "cron(0 9 ? * MON,TUE,WED,THU,FRI *)"
    assert held["ScheduleExpressionTimezone"] == "Asia/Tokyo"
    assert held["State"] == "ENABLED"
    assert held["Input"] == {
        "tenant": tenant.id,
        "workflow_id": WF,
        "node_id": "clock",
        "schedule_id": made["clock"]["id"],
        "scheduled_time": "<aws.scheduler.scheduled-time>",
    }


def test_the_secret_is_encrypted_and_shown_once(tenant):
    first = synced(tenant, 1, webhook(auth="hmac"))["hook"]
    again = synced(tenant, 2, webhook(auth="bearer"))["hook"]
    assert again["id"] == first["id"]
    assert "secret" not in again
    table = TenantTable(tenant)
    stored = list(table.query_all(table.keys.hooks()))
    assert first["secret"].encode() not in repr(stored).encode()


def test_a_webhook_gets_its_secret_when_a_version_first_needs_one(tenant):
    first = synced(tenant, 1, webhook())["hook"]
    second = synced(tenant, 2, webhook(auth="hmac"))["hook"]
    assert "secret" not in first
    assert second["secret"]
    assert second["id"] == first["id"]


def test_what_a_version_has_no_more_is_removed(tenant):
    first = synced(tenant, 1, webhook(), webhook("b"), schedule(), schedule("c"))
    second = synced(tenant, 2, webhook(), schedule())
    assert {n: t["id"] for n, t in second.items()} == {n: first[n]["id"] for n in ("hook", "clock")}
    store = TriggerStore(TenantTable(tenant))
    assert store.webhooks_of(WF) == {"hook": first["hook"]["id"]}
    assert [s.node_id for s in store.schedules_of(WF)] == ["clock"]
    assert scheduled(first["c"]["id"]) is None
    assert sync(tenant, WF, 2, None) == []
    assert store.webhooks_of(WF) == {}
    assert store.schedules_of(WF) == []
    assert scheduled(first["clock"]["id"]) is None
    assert sync(tenant, WF, 2, None) == []


def test_other_workflows_and_tenants_are_left_alone(tenant, other_tenant):
    mine, theirs = synced(tenant, 1, webhook(), schedule()), synced(other_tenant, 1, webhook(), schedule())
    elsewhere = {t["node_id"]: t for t in sync(tenant, WF + "X", 1, doc(webhook(), schedule()))}
    assert len({t["id"] for made in (mine, theirs, elsewhere) for t in made.values()}) == 6
    sync(tenant, WF, 1, None)
    for owner, made in ((other_tenant, theirs), (tenant, elsewhere)):
        assert TriggerStore(TenantTable(owner)).webhook(made["hook"]["id"])
        assert scheduled(made["clock"]["id"])


def test_an_earlier_version_that_comes_late_changes_nothing(tenant):
    latest = synced(tenant, 2, webhook(), schedule(every="2 hours"))
    assert "clock" not in synced(tenant, 1, schedule(every="9 hours"))
    assert scheduled(latest["clock"]["id"])["ScheduleExpression"] == "rate(2 hours)"
    assert TriggerStore(TenantTable(tenant)).webhooks_of(WF) == {"hook": latest["hook"]["id"]}
    sync(tenant, WF, 1, None)
    assert scheduled(latest["clock"]["id"])


def test_scheduler_is_told_again_only_of_changes(tenant, monkeypatch):
    """Being told again would make an interval start anew."""
    told = []
    events = clients.client("scheduler").meta.events
    for operation in ("CreateSchedule", "UpdateSchedule"):
        events.register(f"before-call.scheduler.{operation}", lambda model, **_: told.append(model.name), operation)
    try:
        clock = synced(tenant, 1, schedule(every="2 hours"))["clock"]
        made = len(told)
        assert synced(tenant, 2, schedule(every="2 hours"))["clock"]["next_run_at"] == clock["next_run_at"]
        assert len(told) == made
        synced(tenant, 3, schedule(every="3 hours"))
        assert told[made:] == ["UpdateSchedule"]
    finally:
        for operation in ("CreateSchedule", "UpdateSchedule"):
            events.unregister(f"before-call.scheduler.{operation}", unique_id=operation)
    assert scheduled(clock["id"])["ScheduleExpression"] == "rate(3 hours)"


def test_a_paused_schedule_stays_paused(tenant):
    made = synced(tenant, 1, schedule())["clock"]
    store = TriggerStore(TenantTable(tenant))
    store.change_schedule(store.schedule(made["id"]), {"state": "paused"})
    again = synced(tenant, 2, schedule(every="5 hours"))["clock"]
    assert (again["state"], again["next_run_at"]) == ("paused", None)
    assert scheduled(made["id"])["State"] == "DISABLED"


def test_start_and_end(tenant):
    hour = 3_600_000
    day_ago, soon, later = (iso(now_ms() + n * hour) for n in (-24, 24, 48))
    made = synced(
        tenant,
        1,
        schedule("past", cron="*/5 * * * *", start=day_ago, end=later),
        schedule("future", cron="*/5 * * * *", start=soon),
        schedule("over", cron="*/5 * * * *", start=iso(now_ms() - 48 * hour), end=day_ago),
    )
    assert "StartDate" not in scheduled(made["past"]["id"])  # Scheduler takes no start in the past
    assert "EndDate" in scheduled(made["past"]["id"])
    assert "StartDate" in scheduled(made["future"]["id"])
    assert made["future"]["next_run_at"] >= soon
    assert scheduled(made["over"]["id"]) is None  # nor an end
    assert made["over"]["next_run_at"] is None


def test_a_disabled_node_keeps_its_address_and_its_pause_but_not_its_place_in_scheduler(tenant):
    first = synced(tenant, 1, webhook(), schedule())
    off = synced(tenant, 2, {**webhook(), "disabled": True}, {**schedule(), "disabled": True})
    assert {n: t["id"] for n, t in off.items()} == {n: t["id"] for n, t in first.items()}
    assert off["clock"]["next_run_at"] is None
    assert scheduled(first["clock"]["id"]) is None
    on = synced(tenant, 3, webhook(), schedule())
    assert on["hook"]["id"] == first["hook"]["id"]
    assert scheduled(first["clock"]["id"])["State"] == "ENABLED"


@pytest.mark.parametrize("operation", ["create_schedule", "update_schedule", "delete_schedule"])
def test_a_failure_in_the_middle_says_so_and_a_repeat_does_the_rest(tenant, monkeypatch, operation):
    before = synced(tenant, 1, webhook(), schedule("a", every="1 hour"), schedule("gone", every="1 hour"))
    wanted = (webhook(), webhook("more", auth="bearer"), schedule("a", every="2 hours"), schedule("b", every="3 hours"))

    def refuse(**_arguments):
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, operation)

    with monkeypatch.context() as patch:
        patch.setattr(clients.client("scheduler"), operation, refuse)
        with pytest.raises(Unavailable, match=r"version 2 .*; repeat") as error:
            sync(tenant, WF, 2, doc(*wanted))
    assert error.value.code == "triggers_incomplete"
    after = synced(tenant, 2, *wanted)
    assert after["hook"]["id"] == before["hook"]["id"]
    assert after["more"]["secret"]  # it is still to be seen
    assert scheduled(after["a"]["id"])["ScheduleExpression"] == "rate(2 hours)"
    assert scheduled(after["b"]["id"])["ScheduleExpression"] == "rate(3 hours)"
    assert scheduled(before["gone"]["id"]) is None
    store = TriggerStore(TenantTable(tenant))
    assert set(store.webhooks_of(WF)) == {"hook", "more"}
    assert {s.node_id for s in store.schedules_of(WF)} == {"a", "b"}
