"""Due dates, escalation, and people being told of tasks; and those who die in between."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.aws import states
from shared.clock import iso, now_ms
from shared.errors import Forbidden, Unavailable
from shared.nodes.base import Escalation
from shared.notifications import service as notifications
from shared.notifications.store import NotificationStore
from shared.store.table import TenantTable
from shared.tasks import follow
from shared.tasks.service import TaskService
from shared.tasks.store import TaskStore
from tests.shared.tasks.asking import FORM, a_run, a_task, asked
from tests.shared.tasks.test_people import Clock, People, clock, people, sent, service

__all__ = ["Clock", "People", "clock", "people", "sent", "service"]  # fixtures, and what they give


def test_assignees_are_told_and_others_are_not(service, tenant, people):
    task_id = a_task(tenant, assignees=(*people.ids("ada"), "nobody", "x@outside.example"))
    people["bob"]
    assert (people.told("ada"), people.told("bob")) == (["task_assigned"], [])
    (note,) = notifications.listing(people["ada"], None, 5, unread=True).items
    assert (note.task_id, note.title, "Refund 250?" in note.message) == (task_id, "A task for you", True)
    a_task(tenant)
    a_task(tenant, assignees=people.ids("ada"), notify="none")
    assert people.told("ada") == ["task_assigned"]


def test_who_has_muted_a_kind_is_not_told(service, tenant, people):
    notifications.mute(people["ada"], ["task_assigned"], None)
    task_id = a_task(tenant, assignees=people.ids("ada", "bob"))
    service.reassign(people["bob"], task_id, people.ids("ada"))
    assert (people.told("ada"), people.told("bob")) == (["task_reassigned"], ["task_assigned"])


def test_a_task_escalates_step_by_step_each_once(service, tenant, people, clock, sent):
    steps = (Escalation(60, people.ids("bob")), Escalation(120, people.ids("eve"), replace=True))
    task_id = a_task(tenant, assignees=people.ids("ada"), escalation=steps)
    service.claim(people["ada"], task_id)
    with pytest.raises(Forbidden):
        service.complete(people["bob"], task_id, "approve")
    clock.passes(59)
    service.tidy(task_id)
    assert service.get(task_id)[0].escalated == 0
    clock.passes(1)
    for _ in range(3):
        service.tidy(task_id)
    task = service.get(task_id)[0]
    assert (task.escalated, task.assignees, task.claimed_by) == (1, people.ids("ada", "bob"), None)
    clock.passes(3_000)
    for _ in range(3):
        service.tidy(task_id)
    task = service.get(task_id)[0]
    assert (task.escalated, task.assignees) == (2, people.ids("eve"))
    assert [people.told(n) for n in ("ada", "bob", "eve")] == [["task_assigned"], *[["task_escalated"]] * 2]
    with pytest.raises(Forbidden):
        service.complete(people["bob"], task_id, "approve")
    assert service.complete(people["eve"], task_id, "approve").status == "completed"


def test_steps_that_were_missed_are_all_taken(service, tenant, people, clock):
    steps = (Escalation(60, people.ids("bob")), Escalation(120, people.ids("eve")))
    task_id = a_task(tenant, assignees=people.ids("ada"), escalation=steps, due_ms=clock.now + 90_000)
    clock.passes(600)
    service.tidy(task_id)
    task = service.get(task_id)[0]
    assert (task.escalated, task.assignees) == (2, people.ids("ada", "bob", "eve"))
    assert people.told("bob") == ["task_escalated", "task_overdue"]


def test_a_task_for_everybody_stays_so_unless_it_is_given_to_somebody(service, tenant, people, clock):
    task_id = a_task(
        tenant, escalation=(Escalation(1, people.ids("ada")), Escalation(2, people.ids("bob"), replace=True))
    )
    clock.passes(1)
    service.tidy(task_id)
    assert (service.get(task_id)[0].assignees, people.told("ada")) == ((), ["task_escalated"])
    clock.passes(1)
    service.tidy(task_id)
    assert service.get(task_id)[0].assignees == people.ids("bob")


def test_an_overdue_task_reminds_once_and_still_takes_an_answer(service, tenant, people, clock, sent):
    task_id = a_task(tenant, assignees=people.ids("ada"), due_ms=clock.now + 60_000)
    assert _look(tenant, task_id) == iso(clock.now + 60_000)
    clock.passes(61)
    service.tidy(task_id)
    service.tidy(task_id)
    assert people.told("ada") == ["task_assigned", "task_overdue"]
    assert service.complete(people["ada"], task_id, "approve").status == "completed"


def test_nothing_escalates_that_is_answered_or_whose_time_is_over(service, tenant, people, clock, sent):
    steps = (Escalation(60, people.ids("bob")),)
    answered = a_task(tenant, assignees=people.ids("ada"), escalation=steps)
    over = a_task(tenant, assignees=people.ids("ada"), escalation=steps, timeout_seconds=50)
    service.complete(people["ada"], answered, "approve")
    clock.passes(61)
    for task_id in (answered, over):
        service.tidy(task_id)
        assert service.get(task_id)[0].escalated == 0
    assert people.told("bob") == []


def _look(tenant, task_id: str) -> str:
    table = TenantTable(tenant)
    return table._dynamo.get(table.keys.tasks(), task_id)["GSI2SK"]


def test_who_dies_before_telling_is_followed_by_the_sweeper(service, tenant, people, monkeypatch):
    """Killed once at each write of a notification: in the end everybody was told, once."""
    real, deaths = NotificationStore.add, []

    def dies(self, owner, note):
        if len(deaths) < 2:
            deaths.append(owner)
            raise Unavailable("killed")
        real(self, owner, note)

    monkeypatch.setattr(NotificationStore, "add", dies)
    task_id = a_task(tenant, assignees=people.ids("ada", "bob"))
    assert _look(tenant, task_id) <= iso(now_ms() + 60_000)  # among what is due soon
    assert people.told("ada") == people.told("bob") == []
    service.tidy(task_id)
    service.tidy(task_id)
    service.tidy(task_id)
    assert len(deaths) == 2
    assert people.told("ada") == people.told("bob") == ["task_assigned"]
    assert _look(tenant, task_id) > iso(now_ms() + 3_000_000)


def test_who_dies_between_a_step_and_telling_is_followed_by_the_sweeper(service, tenant, people, clock, monkeypatch):
    task_id = a_task(tenant, assignees=people.ids("ada"), escalation=(Escalation(60, people.ids("bob")),))
    clock.passes(61)
    with monkeypatch.context() as patch:
        patch.setattr(follow.notices, "tell", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            service.tidy(task_id)
    assert (service.get(task_id)[0].escalated, people.told("bob")) == (1, [])
    service.tidy(task_id)
    assert (service.get(task_id)[0].escalated, people.told("bob")) == (1, ["task_escalated"])


def test_sweepers_at_once_take_a_step_once(service, tenant, people, clock):
    task_id = a_task(tenant, assignees=people.ids("ada"), escalation=(Escalation(60, people.ids("bob")),))
    people["bob"]
    clock.passes(61)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: TaskService(tenant).tidy(task_id), range(8)))
    assert (service.get(task_id)[0].escalated, people.told("bob")) == (1, ["task_escalated"])


def test_nobody_is_waited_for_for_ever(service, tenant, people, clock, monkeypatch):
    """After eight attempts a notice is given up; the task goes on as any."""

    def broken(*_):
        raise Unavailable("down")

    monkeypatch.setattr(NotificationStore, "add", broken)
    task_id = a_task(tenant, assignees=people.ids("ada"))
    looks = []
    for _ in range(8):
        looks.append(_look(tenant, task_id))
        service.tidy(task_id)
    assert len(set(looks)) == len(looks)  # each later than the one before
    assert TaskStore(TenantTable(tenant)).get(task_id).notices == ()


@pytest.mark.parametrize("what", ["answered", "given to somebody else"])
def test_what_happens_while_the_sweeper_looks_is_looked_at_soon(service, tenant, people, clock, monkeypatch, what):
    """It has seen an open task of which everybody knows; whoever was to go on with what happens then dies."""
    task_id = a_task(tenant)
    clock.passes(600)
    real = follow.next_look

    def meanwhile(*arguments, **more):
        monkeypatch.setattr(follow, "next_look", real)
        with monkeypatch.context() as dies:
            dies.setattr(states, "send_success", lambda _token: (_ for _ in ()).throw(ConnectionError()))
            dies.setattr(follow, "follow_up", lambda *_: None)
            if what == "answered":
                service.complete(people["boss"], task_id, "approve")
            else:
                service.reassign(people["boss"], task_id, people.ids("ada"))
        return real(*arguments, **more)

    monkeypatch.setattr(follow, "next_look", meanwhile)
    service.tidy(task_id)
    assert _look(tenant, task_id) <= iso(clock.now + 60_000)


def test_asking_again_forgets_neither_notices_nor_steps(service, tenant, people, clock):
    run = a_run(tenant)
    steps = (Escalation(60, people.ids("bob")),)
    task_id = a_task(tenant, run, assignees=people.ids("ada"), escalation=steps)
    clock.passes(30)
    assert service.desk(run.id).open(task_id, "ask", asked(assignees=people.ids("ada")), "second")
    assert _look(tenant, task_id) == iso(clock.now + 30_000)
    assert people.told("ada") == ["task_assigned"]


def test_what_was_shown_is_proven_by_its_hash(service, tenant, people, sent):
    task_id = a_task(tenant, form=FORM)
    service.complete(people["boss"], task_id, "approve", {"reason": "broken"})
    task, shown, answer = service.get(task_id)
    body = {"title": task.title, "instructions": shown.instructions, "form": shown.form, "data": shown.data}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert answer.shown_sha256 == task.shown_sha256 == hashlib.sha256(canonical).hexdigest()
