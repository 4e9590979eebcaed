import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from shared.errors import NotFound, PreconditionFailed
from shared.store.keys import hook_directory
from shared.store.table import Directory, TenantTable
from shared.triggers.store import TriggerStore, new_webhook_id, webhook_owner

CONFIG = {"cron": "0 9 * * *", "weight": 0.1}


@pytest.fixture
def store(tenant):
    return TriggerStore(TenantTable(tenant))


@pytest.fixture
def other(other_tenant):
    return TriggerStore(TenantTable(other_tenant))


def test_a_node_has_one_webhook_even_if_many_ask_at_once(store):
    together = threading.Barrier(8)

    def one(_n: int) -> str:
        together.wait()
        return store.ensure_webhook("wf_1", "hook", 1).id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(one, range(8)))) == 1
    assert len(store.webhooks(None, None, 50, lambda hook: hook).items) == 1


def test_webhook_ids_cannot_be_guessed():
    made = {new_webhook_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(m) == len("wh_") + 32 for m in made)  # five bits each


def test_the_directory_says_whose_a_webhook_is(store, tenant, other, other_tenant):
    mine, theirs = store.ensure_webhook("wf_1", "hook", 1), other.ensure_webhook("wf_1", "hook", 1)
    assert mine.id != theirs.id
    assert webhook_owner(mine.id) == tenant
    assert webhook_owner(theirs.id) == other_tenant
    store.remove_webhook("wf_1", "hook", mine.id, 1)
    assert webhook_owner(mine.id) is None
    assert webhook_owner("META") is None


def test_a_missing_directory_entry_is_mended(store, tenant):
    made = store.ensure_webhook("wf_1", "hook", 1)
    Directory().delete(hook_directory(made.id))
    assert store.ensure_webhook("wf_1", "hook", 2).id == made.id
    assert webhook_owner(made.id) == tenant


def test_a_late_removal_leaves_what_a_later_version_has(store, tenant):
    made = store.ensure_webhook("wf_1", "hook", 5)
    store.remove_webhook("wf_1", "hook", made.id, 4)
    assert store.webhook(made.id) == made
    assert webhook_owner(made.id) == tenant
    store.ensure_webhook("wf_1", "hook", 3)
    store.remove_webhook("wf_1", "hook", made.id, 4)
    assert store.webhook(made.id) == made
    store.remove_webhook("wf_1", "hook", made.id, 5)
    with pytest.raises(NotFound):
        store.webhook(made.id)
    assert store.webhooks_of("wf_1") == {}


def test_tenants_see_their_own(store, other):
    hook = store.ensure_webhook("wf_1", "hook", 1)
    schedule = store.ensure_schedule("wf_1", "clock", 1, CONFIG, disabled=False)
    assert other.schedule_id("wf_1", "clock") != schedule.id
    for look in (lambda: other.webhook(hook.id), lambda: other.schedule(schedule.id)):
        with pytest.raises(NotFound):
            look()
    with pytest.raises(NotFound):
        other.change_webhook(hook, {"secret": b"x"})
    with pytest.raises(NotFound):
        other.change_schedule(schedule, {"state": "paused"})
    other.remove_webhook("wf_1", "hook", hook.id, 9)
    other.remove_schedule(schedule.id, 9)
    assert other.webhooks(None, None, 50, lambda hook: hook).items == []
    assert other.schedules(None, None, 50).items == []
    assert other.webhooks_of("wf_1") == {}
    assert other.schedules_of("wf_1") == []
    assert store.webhooks_of("wf_1") == {"hook": hook.id}
    assert store.schedules_of("wf_1") == [schedule]


@pytest.mark.parametrize("bad", ["", "wh_", "META", "OF#wf_1#hook", "wh_" + "a" * 31, "sch_" + "A" * 32, "x" * 3000])
def test_ids_that_are_none_are_not_found(store, bad):
    store.ensure_webhook("wf_1", "hook", 1)
    with pytest.raises(NotFound):
        store.webhook(bad)
    with pytest.raises(NotFound):
        store.schedule(bad)


def test_a_schedule_follows_later_versions_only_and_keeps_its_state(store):
    made = store.ensure_schedule("wf_1", "clock", 1, CONFIG, disabled=False)
    assert made.config == CONFIG
    store.change_schedule(made, {"state": "paused"})
    again = store.ensure_schedule("wf_1", "clock", 3, {"every": "1 hour"}, disabled=True)
    assert (again.id, again.state, again.version, again.disabled) == (made.id, "paused", 3, True)
    assert again.config == {"every": "1 hour"}
    assert store.ensure_schedule("wf_1", "clock", 2, CONFIG, disabled=False) is None
    assert not store.remove_schedule(made.id, 2)
    assert store.schedule(made.id).version == 3
    assert store.remove_schedule(made.id, 3)


def test_what_scheduler_was_told_is_noted_only_while_there_is_a_schedule(store):
    made = store.ensure_schedule("wf_1", "clock", 1, CONFIG, disabled=False)
    assert store.note_placed(made, "mark", 5) == store.schedule(made.id)
    assert store.unplace(made.id) == store.schedule(made.id)
    assert store.remove_schedule(made.id, 1)
    assert store.note_placed(made, "mark", 5) is None
    assert store.unplace(made.id) is None
    assert not store.has_schedule(made.id)


def test_what_scheduler_was_told_is_noted_only_of_the_schedule_that_it_was_told(store):
    made = store.ensure_schedule("wf_1", "clock", 1, CONFIG, disabled=False)
    paused = store.change_schedule(made, {"state": "paused"})
    assert store.note_placed(made, "mark", 5) is None
    later = store.ensure_schedule("wf_1", "clock", 2, CONFIG, disabled=False)
    assert store.note_placed(paused, "mark", 5) is None
    assert store.schedule(made.id).placed == ""
    assert store.note_placed(later, "mark", 5).placed == "mark"


def test_a_schedule_that_scheduler_has_been_told_of_meanwhile_is_not_removed(store):
    made = store.ensure_schedule("wf_1", "clock", 1, CONFIG, disabled=False)
    store.unplace(made.id)
    store.note_placed(made, "mark", 5)
    assert not store.remove_schedule(made.id, 1)
    assert store.has_schedule(made.id)


def test_a_change_to_something_that_was_changed_meanwhile_is_refused(store):
    hook = store.ensure_webhook("wf_1", "hook", 1)
    assert store.change_webhook(hook, {"secret": b"a"}).revision == 2
    with pytest.raises(PreconditionFailed):
        store.change_webhook(hook, {"secret": b"b"})
    assert store.webhook(hook.id).secret == b"a"


def test_lists_by_workflow_and_page(store):
    for n in range(5):
        for workflow in ("wf_1", "wf_2"):
            store.ensure_webhook(workflow, f"n{n}", 1)
            store.ensure_schedule(workflow, f"n{n}", 1, CONFIG, disabled=False)
    for listing in (partial(store.webhooks, shown=lambda hook: hook), store.schedules):
        first = listing("wf_1", None, 3)
        second = listing("wf_1", first.next_cursor, 3)
        seen = [t.node_id for t in first.items + second.items]
        assert sorted(seen) == ["n0", "n1", "n2", "n3", "n4"]
        assert second.next_cursor is None
        assert len(listing(None, None, 50).items) == 10
    assert len(store.webhooks_of("wf_1")) == 5


def test_workflows_whose_ids_start_alike_are_kept_apart(store):
    store.ensure_webhook("wf_1", "hook", 1)
    store.ensure_webhook("wf_11", "hook", 1)
    assert list(store.webhooks_of("wf_1")) == ["hook"]
    assert len(store.webhooks_of("wf_1")) == 1
