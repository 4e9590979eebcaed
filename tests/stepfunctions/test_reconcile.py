from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from functions.run_events.handler import handler
from infrastructure.local import cloud
from infrastructure.local.interpreter import Context
from shared.aws import states
from shared.clock import iso, now_ms
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tasks.service import TaskService
from shared.tenancy import Principal
from stepfunctions import control, reconcile
from stepfunctions.reconcile import ended, sweep
from tests.shared.tasks.asking import TOKEN, a_run, a_task
from tests.stepfunctions.compiler.documents import document, node

QUICK = document(
    [node("start", "manual_trigger"), node("out", "output")],
    "start.trigger -> out.value",
)
ASKING = document(
    [node("start", "manual_trigger"), node("ask", "human_in_the_loop"), node("out", "output")],
    "start.trigger -> ask.input; ask.response -> out.value",
)


def _detail(tenant, run, status: str, **more: Any) -> dict[str, Any]:
    envelope = {"tenant": tenant.id, "execution": run.id, "plan": run.plan, "timeouts": []}
    return {"name": f"{run.id}-{run.attempt}", "status": status, "input": json.dumps(envelope), **more}


def _run(tenant, run_id: str):
    return RunStore(TenantTable(tenant)).get(run_id)


def _due(tenant, run_id: str, ms_ago: int = 1) -> None:
    """Make the sweeper's next look at a run be now."""
    RunStore(TenantTable(tenant)).look_again(run_id, now_ms() - ms_ago)


def _item(tenant, run_id: str) -> dict[str, Any]:
    table = TenantTable(tenant)
    item = table.get(table.keys.run(run_id), consistent=True)
    assert item is not None
    return item


def _always() -> float:
    return 60.0


@pytest.fixture
def no_machines(aws, monkeypatch):
    """Machines that can be described, but are not run."""
    client = boto3.client("stepfunctions", region_name=cloud.REGION)
    definition = {"StartAt": "x", "States": {"x": {"Type": "Succeed"}}}
    role = f"arn:aws:iam::{cloud.ACCOUNT}:role/sw-test-states"
    client.create_state_machine(name="sw-test-m", definition=json.dumps(definition), roleArn=role)
    return client


# --- events ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "closed", "error"),
    [
        ("FAILED", "failed", "Internal"),
        ("TIMED_OUT", "failed", "Timeout"),
        ("ABORTED", "cancelled", None),
        ("SUCCEEDED", "failed", "Internal"),
    ],
)
def test_an_execution_that_ended_closes_its_run_and_tasks(tenant, status, closed, error):
    run = a_run(tenant)
    task_id = a_task(tenant, run)
    assert ended(_detail(tenant, run, status)) == closed
    found = _run(tenant, run.id)
    assert (found.status, found.error and found.error["error"]) == (closed, error)
    assert TaskService(tenant).get(task_id)[0].status == "cancelled"
    first = found.completed_at
    for again in ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", status):
        assert ended(_detail(tenant, run, again)) == "closed_already"
    assert (_run(tenant, run.id).status, _run(tenant, run.id).completed_at) == (closed, first)


@pytest.mark.parametrize("status", ["RUNNING", "PENDING_REDRIVE", "SOMETHING_NEW"])
def test_other_statuses_change_nothing(tenant, status):
    run = a_run(tenant)
    assert ended(_detail(tenant, run, status)) == "goes_on"
    assert _run(tenant, run.id).status == "pending"


def test_the_event_of_an_earlier_attempt_changes_nothing(tenant):
    run = a_run(tenant)
    store = RunStore(TenantTable(tenant))
    late = _detail(tenant, run, "FAILED")
    store.close(run.id, "failed")
    again = store.reopen(store.get(run.id))
    assert again is not None
    task_id = a_task(tenant, again)
    assert ended(late) == "other_attempt"
    assert _run(tenant, run.id).status == "pending"
    assert TaskService(tenant).get(task_id)[0].status == "open"
    assert ended(_detail(tenant, again, "ABORTED")) == "cancelled"


def test_the_error_is_named_but_its_cause_is_not_kept(tenant):
    named, odd = a_run(tenant), a_run(tenant)
    ended(_detail(tenant, named, "FAILED", error="States.DataLimitExceeded", cause="tenant's data"))
    ended(_detail(tenant, odd, "FAILED", error="tenant's data!", cause="x"))
    errors = [_run(tenant, r.id).error or {} for r in (named, odd)]
    assert "States.DataLimitExceeded" in errors[0]["message"]
    assert "tenant's data" not in json.dumps(errors)


@pytest.mark.parametrize(
    "detail",
    [
        {},
        {"name": "x", "status": "FAILED"},
        {"name": "x", "status": "FAILED", "input": None},
        {"name": "x", "status": "FAILED", "input": "{"},
        {"name": "x", "status": "FAILED", "input": "[]"},
        {"name": "x", "status": "FAILED", "input": '{"tenant": "someone"}'},
        {"name": "x", "status": "FAILED", "input": '{"tenant": 5}'},
    ],
)
def test_events_that_are_not_ours(aws, detail):
    assert ended(detail) == "not_ours"


@pytest.mark.parametrize("name", ["", "-", "ex_none-0", "no-such-thing", "x"])
def test_events_of_runs_that_are_not_there(tenant, other_tenant, name):
    run = a_run(tenant)
    assert ended({**_detail(tenant, run, "FAILED"), "name": name}) == "no_run"
    # A run's name under another tenant is another run.
    assert ended(_detail(other_tenant, run, "FAILED")) == "no_run"
    assert _run(tenant, run.id).status == "pending"


def test_a_failed_run_withdraws_its_other_questions(machines, http, tenant):
    both = document(
        [
            node("start", "manual_trigger"),
            node("ask", "human_in_the_loop"),
            node("rest", "delay", {"ms": 1200}),
            node("get", "http_request", inputs={"url": f"{http.base}/status/500"}),
        ],
        "start.trigger -> ask.input; start.trigger -> rest.input; rest.output -> get.body",
    )
    run = machines.start(both)
    assert machines.until(run).status == "failed"
    (task_id,) = [task.id for task in machines.open_tasks(run).values()]
    event = {"detail-type": "Step Functions Execution Status Change", "detail": _detail(tenant, run, "FAILED")}
    handler(event, Context())
    assert TaskService(tenant).get(task_id)[0].status == "cancelled"
    assert (_run(tenant, run.id).error or {})["error"] == "HttpError"


# --- the sweep -------------------------------------------------------------------------------------------------------


def test_a_run_whose_execution_was_never_started_is_started(machines, tenant, monkeypatch):
    with monkeypatch.context() as dying:
        dying.setattr("stepfunctions.start.launch", lambda *_: None)
        run = machines.start(QUICK, {"a": 1})
    assert sweep(_always) == {}
    assert _run(tenant, run.id).status == "pending"
    _due(tenant, run.id)
    assert sweep(_always) == {"launched": 1}
    assert machines.until(run).status == "completed"
    assert sweep(_always) == {}


def test_a_launch_that_fails_is_tried_again(machines, tenant, monkeypatch, capsys):
    with monkeypatch.context() as dying:
        dying.setattr("stepfunctions.start.launch", lambda *_: None)
        run = machines.start(QUICK)
    _due(tenant, run.id)
    with monkeypatch.context() as busy:
        busy.setattr(reconcile, "launch", lambda *_: (_ for _ in ()).throw(RuntimeError("text of a tenant")))
        assert sweep(_always) == {"trouble": 1}
    assert sweep(_always) == {}
    assert "text of a tenant" not in capsys.readouterr().out
    _due(tenant, run.id)
    assert sweep(_always) == {"launched": 1}
    assert machines.until(run).status == "completed"


def test_a_run_whose_plan_is_gone_fails(no_machines, tenant):
    run = a_run(tenant)
    _due(tenant, run.id)
    assert sweep(_always) == {"failed": 1}
    assert (_run(tenant, run.id).error or {})["error"] == "Internal"


def _going_on(client, tenant, **fields: Any):
    """A run with an execution that just goes on."""
    run = a_run(tenant, **fields)
    client.start_execution(stateMachineArn=states.machine_arn("m"), name=run.execution_name, input="{}")
    return run


def test_an_execution_that_ended_unseen_closes_its_run(no_machines, tenant):
    run = _going_on(no_machines, tenant)
    task_id = a_task(tenant, run)
    states.stop_execution(run.machine, run.execution_name)
    _due(tenant, run.id)
    assert sweep(_always) == {"cancelled": 1}
    assert _run(tenant, run.id).status == "cancelled"
    assert TaskService(tenant).get(task_id)[0].status == "cancelled"


def test_a_run_past_its_deadline_is_stopped(no_machines, tenant):
    run = _going_on(no_machines, tenant, deadline=now_ms() - 61_000)
    _due(tenant, run.id)
    assert sweep(_always) == {"failed": 1}
    found = _run(tenant, run.id)
    assert (found.status, (found.error or {})["error"]) == ("failed", "Timeout")
    assert (states.describe_execution(run.machine, run.execution_name) or {})["status"] == "ABORTED"
    assert ended(_detail(tenant, run, "ABORTED")) == "closed_already"


@pytest.mark.parametrize(
    ("age", "left", "soonest", "latest"),
    [
        (0, 86_400_000, 115_000, 125_000),
        (1_200_000, 86_400_000, 590_000, 610_000),
        (86_400_000, 864_000_000, 3_590_000, 3_610_000),
        (86_400_000, 0, 115_000, 125_000),
    ],
)
def test_the_longer_a_run_goes_on_the_rarer_it_is_looked_at(no_machines, tenant, age, left, soonest, latest):
    now = now_ms()
    run = _going_on(no_machines, tenant, created_at=now - age, deadline=now + left)
    _due(tenant, run.id)
    assert sweep(_always) == {"goes_on": 1}
    assert iso(now + soonest) < _item(tenant, run.id)["GSI2SK"] < iso(now + latest + 10_000)


def test_runs_that_are_closed_or_deleted_are_left_alone(no_machines, tenant):
    run = a_run(tenant)
    _due(tenant, run.id)
    entries = [
        e for shard in reconcile.sweep_shards() for e in next(reconcile.Directory().due(shard, iso(now_ms()), 9))
    ]
    assert [set(e) for e in entries] == [{"PK", "SK", "GSI2PK", "GSI2SK"}]
    store = RunStore(TenantTable(tenant))
    store.close(run.id, "completed")
    assert reconcile._look_at(entries[0]) == "closed_already"
    store.delete(run.id)
    assert reconcile._look_at(entries[0]) == "gone"
    assert reconcile._look_at({"PK": "WS#1", "SK": "META"}) == "unknown"
    assert reconcile._look_at({"PK": f"T#{tenant.id}#HOOKS", "SK": "wh_1"}) == "unknown"


def test_an_answer_that_was_not_delivered_is_delivered(machines, tenant, monkeypatch):
    run = machines.start(ASKING)
    machines.until(run, "paused")
    task = machines.open_tasks(run)["ask"]
    admin = Principal(tenant, "api_key", "key_a", "admin")
    with monkeypatch.context() as broken:
        broken.setattr(states, "send_success", lambda _token: (_ for _ in ()).throw(ConnectionError(TOKEN)))
        TaskService(tenant).complete(admin, task.id, "approve", {"n": 5})
    assert sweep(_always) == {}
    TaskService(tenant).look_again(task.id, now_ms() - 1)
    assert sweep(_always) == {"task": 1}
    ended_run = machines.until(run)
    assert (ended_run.status, machines.value(ended_run.final_output)["n"]) == ("completed", 5)
    assert sweep(_always) == {}


def test_tasks_of_two_tenants_and_one_that_makes_trouble(no_machines, tenant, other_tenant, monkeypatch):
    over, other = a_run(tenant), a_run(other_tenant)
    mine, theirs, troubled = a_task(tenant, over), a_task(other_tenant, other), a_task(tenant)
    RunStore(TenantTable(tenant)).close(over.id, "failed")
    RunStore(TenantTable(other_tenant)).close(other.id, "failed")
    for each, task_id in ((tenant, mine), (other_tenant, theirs), (tenant, troubled)):
        TaskService(each).look_again(task_id, now_ms() - 1)
    real = TaskService.tidy

    def tidy(self, task_id, mails_until):
        if task_id == troubled:
            raise RuntimeError("no")
        real(self, task_id, mails_until)

    monkeypatch.setattr(TaskService, "tidy", tidy)
    assert sweep(_always) == {"task": 2, "trouble": 1}
    assert TaskService(tenant).get(mine)[0].status == "cancelled"
    assert TaskService(other_tenant).get(theirs)[0].status == "cancelled"
    assert sweep(_always) == {}


def test_a_sweep_ends_with_its_time(no_machines, tenant, capsys):
    for _ in range(3):
        _due(tenant, a_run(tenant).id)
    assert sweep(lambda: 9.9) == {"left": 3}
    handler({"detail-type": "Scheduled Event", "detail": {}}, Context(seconds=5))
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["swept"] == {"left": 3}
    assert sweep(_always) == {"failed": 3}


def test_a_paused_run_rests_until_it_is_resumed(machines, tenant):
    """Not an ending: a parked execution is still running."""
    run = machines.start(ASKING)
    machines.until(run, "paused")
    control.pause(tenant, run.id)
    _due(tenant, run.id)
    assert sweep(_always) == {"goes_on": 1}
    assert _run(tenant, run.id).status == "paused"
    control.cancel(tenant, run.id)
