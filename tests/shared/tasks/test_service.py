from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from shared.aws import kms, states
from shared.clock import iso, now_ms
from shared.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from shared.members import service as members
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tasks.service import TaskService
from shared.tasks.store import TaskStore
from shared.tenancy import Principal
from tests.shared.tasks.asking import FORM, TOKEN, a_run, a_task, asked


@pytest.fixture
def admin(tenant) -> Principal:
    return Principal(tenant, "api_key", "key_admin", "admin")


@pytest.fixture
def operator(tenant) -> Principal:
    return Principal(tenant, "api_key", "key_operator", "operator")


@pytest.fixture
def service(tenant) -> TaskService:
    return TaskService(tenant)


@pytest.fixture
def sent(monkeypatch) -> list[str]:
    """The tokens that Step Functions was given. It is the world's edge here: moto knows only tokens of its own runs."""
    tokens: list[str] = []
    monkeypatch.setattr(states, "send_success", lambda token: bool(tokens.append(token)) or True)
    return tokens


def _member(owner, tenant, email: str, *types: str) -> Principal:
    """An operator with these user types."""
    boss = Principal(tenant, "user", owner.user.id, "owner", user_id=owner.user.id)
    made, _ = members.invite(boss, email, "operator", types)
    return Principal(tenant, "user", made.id, "operator", user_id=made.id, user_types=made.user_types)


def _item(tenant, task_id: str) -> dict[str, Any]:
    table = TenantTable(tenant)
    found = table._dynamo.get(table.keys.tasks(), task_id)
    assert found is not None
    return found


# --- the engine's side -----------------------------------------------------------------------------------------------


def test_a_task_shows_what_was_asked(service, tenant):
    run = a_run(tenant)
    task_id = a_task(tenant, run, form=FORM, assignees=("ops",))
    task, shown, answer = service.get(task_id)
    assert (task.status, task.title, task.assignees) == ("open", "Refund 250?", ("ops",))
    assert (task.execution_id, task.workflow_id, task.node_id) == (run.id, run.workflow_id, "ask")
    assert 0 <= task.expires_at - task.created_at - 3_600_000 < 5_000
    assert task.due_at is None
    assert (shown.instructions, shown.form, shown.data) == ("Look at the order first.", FORM, {"amount": 250})
    assert answer is None
    assert [t.id for t in service.open_tasks(run.id)] == [task_id]


def test_the_answer_is_kept_and_the_run_goes_on(service, tenant, admin, sent):
    task_id = a_task(tenant, form=FORM)
    done = service.complete(admin, task_id, "approve", {"reason": "broken"}, "fine")
    assert (done.status, done.decision, done.completed_by) == ("completed", "approved", "key_admin")
    assert sent == [TOKEN]
    assert not {"token", "GSI2PK", "GSI2SK"} & set(_item(tenant, task_id))
    given = service.desk(done.execution_id).settle(task_id)
    assert given == {
        "decision": "approved",
        "data": {"reason": "broken"},
        "comment": "fine",
        "completed_by": "key_admin",
        "completed_at": iso(done.completed_at),
    }
    assert service.desk(done.execution_id).settle(task_id) == given


def test_large_questions_and_answers_lie_elsewhere(service, tenant, admin, sent):
    rows = [{"n": i, "text": "x" * 100} for i in range(5_000)]
    task_id = a_task(tenant, data=rows)
    assert len(json.dumps(_item(tenant, task_id), default=str)) < 5_000
    assert service.get(task_id)[1].data == rows
    service.complete(admin, task_id, "submit", {"rows": rows})
    assert len(json.dumps(_item(tenant, task_id), default=str)) < 5_000
    assert service.get(task_id)[2].data == {"rows": rows}


def test_asking_again_renews_the_token_of_an_open_task_only(service, tenant, admin, sent):
    run = a_run(tenant)
    task_id = a_task(tenant, run, token="first")
    desk = service.desk(run.id)
    assert desk.open(task_id, "ask", asked(), "second")
    service.complete(admin, task_id, "reject")
    assert sent == ["second"]
    assert not desk.open(task_id, "ask", asked(), "third")
    assert "token" not in _item(tenant, task_id)


def test_nobody_answered_in_time(service, tenant, admin, sent):
    task_id = a_task(tenant)
    desk = service.desk(service.get(task_id)[0].execution_id)
    assert desk.settle(task_id) is None
    assert service.get(task_id)[0].status == "lapsed"
    assert desk.settle(task_id) is None
    with pytest.raises(Conflict) as refused:
        service.complete(admin, task_id, "approve")
    assert refused.value.code == "task_lapsed"
    assert sent == []


def test_after_its_time_a_task_takes_no_answer_even_before_the_run_has_noticed(service, tenant, admin, sent):
    task_id = a_task(tenant, timeout_seconds=0)
    with pytest.raises(Conflict) as refused:
        service.complete(admin, task_id, "approve")
    assert refused.value.code == "task_lapsed"
    assert service.get(task_id)[0].status == "open"


def test_a_run_that_is_over_withdraws_its_tasks_and_no_others(service, tenant, other_tenant, admin, sent):
    run = a_run(tenant)
    first, second, elsewhere = a_task(tenant, run), a_task(tenant, run), a_task(tenant)
    service.complete(admin, first, "approve")
    foreign = a_task(other_tenant, a_run(other_tenant, id=run.id))
    service.withdraw(run.id, now_ms())
    service.withdraw(run.id, now_ms())
    statuses = [service.get(t)[0].status for t in (first, second, elsewhere)]
    assert statuses == ["completed", "cancelled", "open"]
    assert TaskService(other_tenant).get(foreign)[0].status == "open"
    with pytest.raises(Conflict) as refused:
        service.complete(admin, second, "approve")
    assert refused.value.code == "task_cancelled"


def test_a_task_asked_while_its_run_ends_is_withdrawn(service, tenant):
    run = a_run(tenant)
    RunStore(TenantTable(tenant)).close(run.id, "cancelled")
    assert not service.desk(run.id).open("tk_1", "ask", asked(), TOKEN)
    assert service.get("tk_1")[0].status == "cancelled"


def test_answering_when_the_run_is_over_closes_the_task(service, tenant, admin, sent):
    run = a_run(tenant)
    task_id = a_task(tenant, run)
    RunStore(TenantTable(tenant)).close(run.id, "failed", error={"error": "Internal", "message": "x"})
    with pytest.raises(Conflict) as refused:
        service.complete(admin, task_id, "approve")
    assert refused.value.code == "task_cancelled"
    assert service.get(task_id)[0].status == "cancelled"
    assert sent == []


# --- who may ---------------------------------------------------------------------------------------------------------


def test_only_assignees_and_admins_may_answer(service, tenant, owner, admin, operator, sent):
    boss = Principal(tenant, "user", owner.user.id, "owner", user_id=owner.user.id)
    kind = members.create_user_type(boss, "Support lead", "")
    lead = _member(owner, tenant, "lead@first.example", kind.id)
    other = _member(owner, tenant, "other@first.example")
    ways = [lead.id, "LEAD@first.example", kind.id, "support lead"]
    for way in ways:
        task_id = a_task(tenant, assignees=("nobody", way))
        for who in (other, operator):
            for act in (service.claim, lambda w, t: service.complete(w, t, "approve")):
                with pytest.raises(Forbidden) as refused:
                    act(who, task_id)
                assert refused.value.code == "not_assignee"
            with pytest.raises(Forbidden):
                service.reassign(who, task_id, ("me",))
        assert service.complete(lead, task_id, "approve").completed_by == lead.id
    assert service.complete(admin, a_task(tenant, assignees=("nobody",)), "approve").status == "completed"
    assert service.complete(operator, a_task(tenant), "approve").status == "completed"
    assert service.complete(operator, a_task(tenant, assignees=("key_operator",)), "approve").status == "completed"


def test_a_claimed_task_is_answered_by_nobody_else(service, tenant, admin, operator, sent):
    task_id = a_task(tenant)
    assert service.claim(operator, task_id).claimed_by == "key_operator"
    assert service.claim(operator, task_id).claimed_by == "key_operator"
    for act in (lambda: service.claim(admin, task_id), lambda: service.complete(admin, task_id, "approve")):
        with pytest.raises(Conflict) as refused:
            act()
        assert refused.value.code == "claimed"
    assert service.unclaim(admin, task_id).claimed_by is None
    assert service.unclaim(admin, task_id).claimed_by is None
    service.claim(admin, task_id)
    with pytest.raises(Forbidden) as refused:
        service.unclaim(operator, task_id)
    assert refused.value.code == "not_claimant"
    assert service.complete(admin, task_id, "approve").status == "completed"
    for act in (service.claim, service.unclaim, lambda w, t: service.reassign(w, t, ("x",))):
        with pytest.raises(Conflict) as refused:
            act(admin, task_id)
        assert refused.value.code == "already_answered"


def test_reassigning_ends_the_claim(service, tenant, operator, admin, sent):
    task_id = a_task(tenant)
    service.claim(operator, task_id)
    moved = service.reassign(admin, task_id, ("key_x", "key_x", "key_y"))
    assert (moved.assignees, moved.claimed_by) == (("key_x", "key_y"), None)
    with pytest.raises(Forbidden):
        service.claim(operator, task_id)


def test_an_answer_that_does_not_fit_the_form_is_refused(service, tenant, admin, sent):
    task_id = a_task(tenant, form=FORM)
    for data, place in [
        (None, "data"),
        ({}, "data"),
        ({"reason": "no"}, "data.reason"),
        ({"reason": 7}, "data.reason"),
        ({"reason": "long enough", "amount": 101}, "data.amount"),
        ({"reason": "long enough", "other": 1}, "data"),
    ]:
        for decision in ("approve", "reject", "submit"):
            with pytest.raises(Invalid) as refused:
                service.complete(admin, task_id, decision, data)
            assert place in {p.path for p in refused.value.errors}, data
    assert service.get(task_id)[0].status == "open"
    assert sent == []


def test_of_two_answers_the_first_stands(service, tenant, admin, operator, sent):
    task_id = a_task(tenant)
    service.complete(operator, task_id, "reject", None, "mine")
    with pytest.raises(Conflict) as refused:
        service.complete(admin, task_id, "approve")
    assert refused.value.code == "already_answered"
    assert service.get(task_id)[2].comment == "mine"
    assert sent == [TOKEN]


def test_lists(service, tenant, other_tenant, admin, operator, owner, sent):
    run = a_run(tenant)
    mine = a_task(tenant, run, assignees=("key_operator",))
    anybodys = a_task(tenant, run)
    theirs = a_task(tenant, assignees=("Somebody",))
    done = a_task(tenant)
    service.complete(admin, done, "approve")
    claimed = a_task(tenant)
    service.claim(admin, claimed)

    def ids(who=operator, **filters):
        return [t.id for t in service.page(who, None, 50, **filters).items]

    assert ids() == [claimed, done, theirs, anybodys, mine]
    assert ids(status="open") == [claimed, theirs, anybodys, mine]
    assert ids(status="completed") == [done]
    assert ids(status="lapsed") == []
    assert ids(assignee="somebody") == [theirs]
    assert ids(status="open", assignee="me") == [anybodys, mine]
    assert ids(admin, status="open", assignee="me") == [claimed, anybodys]
    assert ids(execution_id=run.id) == [anybodys, mine]
    assert ids(workflow_id=run.workflow_id, assignee="key_operator") == [mine]
    first = service.page(operator, None, 2, status="open")
    rest = service.page(operator, first.next_cursor, 2, status="open")
    assert [t.id for t in (*first.items, *rest.items)] == ids(status="open")
    stranger = Principal(other_tenant, "api_key", "key_s", "owner")
    assert TaskService(other_tenant).page(stranger, None, 50).items == []


def test_another_tenants_tasks_are_not_there(service, tenant, other_tenant):
    task_id = a_task(tenant)
    stranger, theirs = Principal(other_tenant, "api_key", "key_s", "owner"), TaskService(other_tenant)
    for act in (
        lambda: theirs.get(task_id),
        lambda: theirs.claim(stranger, task_id),
        lambda: theirs.unclaim(stranger, task_id),
        lambda: theirs.reassign(stranger, task_id, ("x",)),
        lambda: theirs.complete(stranger, task_id, "approve"),
        lambda: theirs.deliver(task_id),
    ):
        with pytest.raises(NotFound):
            act()
    theirs.withdraw(service.get(task_id)[0].execution_id, now_ms())
    theirs.tidy(task_id)
    assert theirs.desk(service.get(task_id)[0].execution_id).settle(task_id) is None
    assert service.get(task_id)[0].status == "open"


# --- delivering ------------------------------------------------------------------------------------------------------


def test_an_answer_outlives_a_failure_to_deliver_it(service, tenant, admin, monkeypatch, capsys):
    def busy(_token):
        raise Unavailable("busy " + TOKEN)

    monkeypatch.setattr(states, "send_success", busy)
    task_id = a_task(tenant)
    assert service.complete(admin, task_id, "approve").status == "completed"
    item = _item(tenant, task_id)
    assert item["GSI2SK"] <= iso(now_ms() + 60_000)
    service.tidy(task_id)
    assert "token" in _item(tenant, task_id)
    tokens: list[str] = []
    monkeypatch.setattr(states, "send_success", lambda token: bool(tokens.append(token)) or True)
    service.tidy(task_id)
    service.tidy(task_id)
    assert tokens == [TOKEN]
    assert not {"token", "GSI2PK", "GSI2SK"} & set(_item(tenant, task_id))
    assert TOKEN not in capsys.readouterr().out


def test_a_state_that_waits_no_longer_is_no_error(service, tenant, admin):
    """moto has no such token: what is sent is refused, and forgotten."""
    task_id = a_task(tenant)
    assert service.complete(admin, task_id, "approve").status == "completed"
    assert "token" not in _item(tenant, task_id)


def test_the_sweeper_closes_the_task_of_an_ended_run_and_leaves_others(service, tenant):
    over, going_on = a_run(tenant), a_run(tenant)
    closed, left = a_task(tenant, over), a_task(tenant, going_on)
    RunStore(TenantTable(tenant)).close(over.id, "failed")
    for task_id in (closed, left, "tk_none"):
        service.tidy(task_id)
    assert service.get(closed)[0].status == "cancelled"
    assert "GSI2PK" not in _item(tenant, closed)
    assert service.get(left)[0].status == "open"
    assert iso(now_ms() + 3_590_000) < _item(tenant, left)["GSI2SK"] < iso(now_ms() + 3_610_000)


def test_the_token_is_sealed_for_its_task(service, tenant):
    task_id = a_task(tenant)
    sealed, run_id = _item(tenant, task_id)["token"], service.get(task_id)[0].execution_id
    assert kms.decrypt(tenant, sealed, execution=run_id, task=task_id).decode() == TOKEN
    with pytest.raises(kms.Undecryptable):
        kms.decrypt(tenant, sealed, execution=run_id, task="tk_other")


def test_nothing_stored_holds_the_token(service, tenant, admin, sent, capsys):
    task_id = a_task(tenant, data={"big": "x" * 50_000})
    service.claim(admin, task_id)
    table = boto3.client("dynamodb", region_name="us-east-1")
    bucket = boto3.client("s3", region_name="us-east-1")

    def everything() -> str:
        found = [repr(table.scan(TableName="sw-test-table")["Items"])]
        for each in bucket.list_objects_v2(Bucket="sw-test-data").get("Contents", []):
            found.append(bucket.get_object(Bucket="sw-test-data", Key=each["Key"])["Body"].read().decode())
        return "\n".join(found)

    assert task_id in everything()
    assert TOKEN not in everything()
    service.complete(admin, task_id, "approve", {"answer": "y" * 50_000})
    assert TOKEN not in everything()
    assert TOKEN not in capsys.readouterr().out
    assert TOKEN not in repr(TaskStore(TenantTable(tenant)).get(task_id))
