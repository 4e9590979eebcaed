from __future__ import annotations

import json

import pytest

from shared.errors import NotFound, Unavailable
from shared.store.table import TenantTable
from shared.tenancy import Principal
from shared.triggers import service
from shared.triggers.store import TriggerStore
from shared.workflows.model import Document
from tests.shared.triggers.overtaking import Died, die, meanwhile
from tests.triggered import document, schedule, scheduled

WF = "wf_01J00000000000000000000000"
PUT, DELETE = "UpdateSchedule", "DeleteSchedule"
LEAVES, ARRIVED = "before-call.scheduler.", "after-call.scheduler."


@pytest.fixture
def who(tenant) -> Principal:
    return Principal(tenant, "user", "us_1", "editor", user_id="us_1")


@pytest.fixture
def store(tenant) -> TriggerStore:
    return TriggerStore(TenantTable(tenant))


@pytest.fixture
def publish(tenant):
    """Publishes a version with one schedule, and gives that's id."""

    def published(version: int, cron: str = "0 9 * * *", **node) -> str:
        body = document({**schedule(cron=cron), **node})
        (made,) = service.sync(tenant, WF, version, Document.model_validate_json(json.dumps(body)))
        return made["id"]

    return published


@pytest.fixture
def remove(tenant):
    """Publishes a version without the schedule, or takes the workflow out of service."""
    return lambda version: service.suspend(tenant, WF, version)


# --- a deletion at Scheduler is not forgotten ------------------------------------------------------------------------


def test_a_schedule_comes_back_after_a_removal_that_died(publish, remove, store):
    schedule_id = publish(1)
    meanwhile(ARRIVED + DELETE, die)
    with pytest.raises(Died):
        remove(1)
    assert scheduled(schedule_id) is None
    assert store.schedule(schedule_id)  # what is left over
    assert publish(2) == schedule_id
    assert scheduled(schedule_id)["State"] == "ENABLED"


def test_a_schedule_comes_back_after_its_disabling_died(publish):
    schedule_id = publish(1)
    meanwhile(ARRIVED + DELETE, die)
    with pytest.raises(Died):
        publish(2, disabled=True)
    publish(3)
    assert scheduled(schedule_id)["State"] == "ENABLED"


def test_a_version_that_is_published_during_a_removal_keeps_its_schedule(publish, remove, store):
    schedule_id = publish(1)
    meanwhile(LEAVES + DELETE, lambda: publish(2))
    remove(1)
    assert scheduled(schedule_id)["State"] == "ENABLED"
    assert store.schedule(schedule_id).version == 2


def test_a_schedule_that_is_removed_while_it_is_placed_is_gone_from_scheduler(publish, remove, store, who):
    schedule_id = publish(1)
    meanwhile(LEAVES + PUT, lambda: remove(1))
    with pytest.raises(NotFound):
        service.set_state(who, schedule_id, "paused", None)
    assert store.schedules_of(WF) == []
    assert scheduled(schedule_id) is None


def test_a_schedule_that_is_placed_while_it_is_removed_is_gone_from_scheduler(publish, remove, store, who):
    """The pause is told and noted when the deletion has arrived, but the record is still there."""
    schedule_id = publish(1)
    meanwhile(ARRIVED + DELETE, lambda: service.set_state(who, schedule_id, "paused", None))
    remove(1)
    assert store.schedules_of(WF) == []
    assert scheduled(schedule_id) is None


def test_a_schedule_that_is_removed_and_comes_back_while_it_is_placed_stays(publish, remove, store, who):
    schedule_id = publish(1)

    def again() -> None:
        remove(1)
        meanwhile(LEAVES + DELETE, lambda: publish(2, cron="0 11 * * *"))  # while what was told late is taken back

    meanwhile(LEAVES + PUT, again)
    assert service.set_state(who, schedule_id, "paused", None).state == "active"  # the new one has never been paused
    assert scheduled(schedule_id)["ScheduleExpression"] == "cron(0 11 * * ? *)"
    assert store.schedule(schedule_id).placed


# --- calls that overtake each other ----------------------------------------------------------------------------------


def test_a_resume_that_overtakes_the_pause_holds(publish, store, who):
    schedule_id = publish(1)
    meanwhile(LEAVES + PUT, lambda: service.set_state(who, schedule_id, "active", None))
    assert service.set_state(who, schedule_id, "paused", None).state == "active"
    assert store.schedule(schedule_id).state == "active"
    assert scheduled(schedule_id)["State"] == "ENABLED"


def test_the_later_of_two_versions_holds_though_the_earlier_arrives_last(publish, store):
    meanwhile(LEAVES + PUT, lambda: publish(2, cron="0 10 * * *"))
    schedule_id = publish(1)
    assert store.schedule(schedule_id).config == {"cron": "0 10 * * *"}
    assert scheduled(schedule_id)["ScheduleExpression"] == "cron(0 10 * * ? *)"


def test_a_deletion_of_a_disabled_node_does_not_outlast_a_later_version(publish):
    schedule_id = publish(1)
    meanwhile(LEAVES + DELETE, lambda: publish(3))
    publish(2, disabled=True)
    assert scheduled(schedule_id)["State"] == "ENABLED"


def test_where_others_never_rest_a_repeat_does_the_rest(publish, store, who):
    schedule_id = publish(1)
    wanted = iter(["active", "paused"] * 50)

    def other() -> None:  # writes, and dies before it tells Scheduler
        found = store.schedule(schedule_id)
        store.change_schedule(found, {"state": next(wanted)})

    meanwhile(LEAVES + PUT, other, times=5)
    with pytest.raises(Unavailable, match="at the same time"):
        service.set_state(who, schedule_id, "paused", None)
    assert store.schedule(schedule_id).placed == ""
    assert service.set_state(who, schedule_id, "paused", None).state == "paused"
    assert scheduled(schedule_id)["State"] == "DISABLED"
