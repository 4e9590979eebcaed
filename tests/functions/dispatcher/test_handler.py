import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.dispatcher.handler import handler
from infrastructure.local.interpreter import Context
from shared.clock import now_ms, parse
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.triggers.store import TriggerStore
from stepfunctions import start as starting
from tests import triggered

INSTANT = "2026-03-29T01:00:00Z"


def published(client):
    workflow = triggered.create(client, triggered.document(triggered.schedule()))
    return workflow, triggered.publish(client, workflow)["clock"]["id"]


def test_a_due_schedule_starts_the_published_version(api_client, tenant):
    workflow, schedule_id = published(api_client)
    execution_id = triggered.tick(schedule_id, INSTANT)
    run = RunStore(TenantTable(tenant)).get(execution_id)
    assert (run.workflow_id, run.version, run.trigger_node) == (workflow, 1, "clock")
    assert run.trigger == {"v": {"timestamp": "2026-03-29T01:00:00.000Z"}}
    assert run.triggered_by == {"kind": "schedule", "id": schedule_id, "user": None}
    assert starting.states.describe_execution(run.machine, run.execution_name)["status"]


def test_an_instant_starts_one_run_however_often_it_is_told(api_client):
    workflow, schedule_id = published(api_client)
    together = threading.Barrier(6)

    def one(_n: int) -> str | None:
        together.wait()
        return triggered.tick(schedule_id, INSTANT)

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(one, range(6)))) == 1
    assert triggered.tick(schedule_id, "2026-03-29T01:00:00.000+00:00") == triggered.tick(schedule_id, INSTANT)
    other = triggered.tick(schedule_id, "2026-03-29T02:00:00Z")
    assert len(triggered.executions(workflow, api_client)) == 2
    assert other in {e["id"] for e in triggered.executions(workflow, api_client)}


def test_schedules_do_not_share_their_instants(api_client, other_client):
    (_, one), (_, two), (_, foreign) = published(api_client), published(api_client), published(other_client)
    assert len({triggered.tick(s, INSTANT) for s in (one, two, foreign)}) == 3


def test_a_paused_schedule_starts_nothing_until_it_goes_on(api_client):
    workflow, schedule_id = published(api_client)
    assert api_client.patch(f"/schedules/{schedule_id}", json={"state": "paused"}).status_code == 200
    assert triggered.tick(schedule_id, INSTANT) is None
    assert triggered.executions(workflow, api_client) == []
    assert api_client.patch(f"/schedules/{schedule_id}", json={"state": "active"}).status_code == 200
    assert triggered.tick(schedule_id, INSTANT) is not None


def envelope(schedule_id: str) -> dict[str, str]:
    held = triggered.scheduled(schedule_id)
    assert held is not None
    return {**held["Input"], "scheduled_time": INSTANT}


def test_what_is_not_published_any_more_starts_nothing(api_client):
    """Scheduler may call once more after the schedule is gone."""
    workflow, schedule_id = published(api_client)
    late = envelope(schedule_id)
    assert api_client.post(f"/workflows/{workflow}/unpublish").status_code == 200
    assert handler(late, Context()) == {"execution_id": None}
    assert api_client.delete(f"/workflows/{workflow}").status_code == 204
    assert handler(late, Context()) == {"execution_id": None}


def test_a_node_that_the_published_version_has_not_starts_nothing(api_client, tenant):
    """Between the switch to a version and the removal of the schedules that it has no more."""
    workflow, schedule_id = published(api_client)
    late = envelope(schedule_id)
    kept = TriggerStore(TenantTable(tenant)).schedule(schedule_id)
    triggered.republish(api_client, workflow, triggered.document(triggered.webhook()))
    again = TriggerStore(TenantTable(tenant)).ensure_schedule(workflow, "clock", 1, kept.config, disabled=False)
    assert again.id == schedule_id
    assert handler(late, Context()) == {"execution_id": None}


def test_a_foreign_tenant_in_the_envelope_reaches_nothing(api_client, other_tenant):
    workflow, schedule_id = published(api_client)
    assert handler({**envelope(schedule_id), "tenant": other_tenant.id}, Context()) == {"execution_id": None}
    assert triggered.executions(workflow, api_client) == []


def test_an_emulator_that_fills_in_no_instant_means_this_minute(api_client, tenant):
    _, schedule_id = published(api_client)
    before = now_ms()
    execution_id = triggered.tick(schedule_id, "<aws.scheduler.scheduled-time>")
    timestamp = RunStore(TenantTable(tenant)).get(execution_id).trigger["v"]["timestamp"]
    assert before - 60_000 < parse(timestamp) <= now_ms()
    assert parse(timestamp) % 60_000 == 0


@pytest.mark.parametrize(
    "change",
    [{"tenant": "t1"}, {"tenant": "../x"}, {"scheduled_time": "soon"}, {"scheduled_time": ""}, {"schedule_id": None}],
)
def test_what_is_wrong_is_raised_so_that_the_call_is_repeated(api_client, change):
    _, schedule_id = published(api_client)
    with pytest.raises((ValueError, TypeError)):
        handler({**envelope(schedule_id), **change}, Context())


def test_a_repeat_starts_what_a_crash_left(api_client, monkeypatch):
    workflow, schedule_id = published(api_client)

    def die(*_arguments):
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(starting, "launch", die)
        with pytest.raises(ConnectionError):
            triggered.tick(schedule_id, INSTANT)
    (left,) = triggered.executions(workflow, api_client)
    assert triggered.tick(schedule_id, INSTANT) == left["id"]
    (run,) = triggered.executions(workflow, api_client)
    name = f"{run['id']}-{run['attempt']}"
    assert starting.states.describe_execution(run["machine"], name)["status"]


def test_one_line_a_call(api_client, capsys):
    _, schedule_id = published(api_client)
    capsys.readouterr()
    execution_id = triggered.tick(schedule_id, INSTANT)
    (line,) = (json.loads(text) for text in capsys.readouterr().out.splitlines())
    assert (line["message"], line["schedule_id"], line["execution_id"]) == ("due", schedule_id, execution_id)
