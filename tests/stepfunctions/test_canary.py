"""Canaries: who gets the other version, when it loses its runs, and what ends it. And: triggers swap at once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from shared.aws.dynamo import Dynamo
from shared.clock import now_ms
from shared.errors import Conflict, Contended, Invalid, NotFound, Unavailable
from shared.ids import digest, new_id
from shared.notifications import service as notifications
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Principal, Tenant
from shared.workflows import service
from shared.workflows.model import Document
from stepfunctions import canary, children, fire, manual, release, start
from stepfunctions.canary_ends import run_ended
from stepfunctions.feed import feed
from stepfunctions.published import Beside, Published
from tests import triggered
from tests.arriving import bus
from tests.shared.tasks.asking import a_run
from tests.stepfunctions.compiler.documents import document, node
from tests.table_stream import TableStream

LIMITS: dict[str, Any] = {"weight": 100, "max_failure_rate": 0.5, "min_runs": 3, "window_seconds": 3_600}
BY = {"kind": "test", "id": None, "user": None}


@pytest.fixture
def who(owner, tenant) -> Principal:
    return Principal(tenant, "user", owner.user.id, "editor", user_id=owner.user.id)


def giving(expression: str, *triggers: dict[str, Any]) -> Document:
    return document(
        [*(triggers or [node("start", "manual_trigger")]), node("give", "transform", {"expression": expression})], ""
    )


def two_versions(who: Principal, *triggers: dict[str, Any], first: str = "1", second: str = "2") -> None:
    """Version 1 is the published one."""
    service.create(who, giving(second, *triggers))
    release.publish_workflow(who.tenant, who, "wf_test", None)
    service.put(who, "wf_test", giving(first, *triggers), None)
    release.publish_workflow(who.tenant, who, "wf_test", None)


def ended(tenant: Tenant, canary_id: str | None, status: str = "completed", **fields: Any) -> str:
    """A run that has ended, and was told of."""
    run = a_run(tenant, workflow_id="wf_test", canary=canary_id, **fields)
    RunStore(TenantTable(tenant)).close(run.id, status)  # type: ignore[arg-type]
    return run.id


def counted(tenant: Tenant) -> tuple[int, int]:
    view = canary.get(tenant, "wf_test")
    return view.total.runs, view.total.failed


# --- who gets it -----------------------------------------------------------------------------------------------------


def published(version: int, **more: Any) -> Published:
    return Published("wf", version, f"p{version}", "m", (), 60, (), **more)


@pytest.mark.parametrize("weight", [0, 1, 10, 50, 99, 100])
def test_so_many_of_a_hundred_get_it_and_a_repeat_gets_the_same(weight):
    both = published(1, beside=Beside("cn_1", weight, published(2)))
    ids = [new_id("ex") for _ in range(3_000)]
    got = [both.of_run(i) for i in ids]
    share = sum(p.version == 2 for p in got) / len(ids) * 100
    assert abs(share - weight) < 4
    assert share == weight or weight not in (0, 100)
    assert [both.of_run(i) for i in ids] == got
    assert {p.canary for p in got if p.version == 2} <= {"cn_1"}
    assert {p.canary for p in got if p.version == 1} <= {None}


def test_what_is_kept_of_a_version_says_nothing_of_its_service():
    both = published(1, beside=Beside("cn_1", 5, published(2)), canary="cn_0")
    assert Published.from_dict(both.as_dict()) == published(1)


HOOK, CLOCK = node("hook", "http_webhook"), node("clock", "schedule", {"every": "1 hour"})
LISTENER = node("on", "event_listener", {"pattern": {"detail-type": ["order"]}})
CHAT = node("talk", "chat_trigger")


def test_every_trigger_starts_it(who, tenant, api_client):
    two_versions(who, node("start", "manual_trigger"), HOOK, CLOCK, LISTENER, CHAT)
    view = canary.begin(who, "wf_test", 1, **LIMITS)
    hook = api_client.get("/webhooks?workflow_id=wf_test").json()["items"][0]["id"]
    clock = api_client.get("/schedules?workflow_id=wf_test").json()["items"][0]["id"]
    with triggered.outside() as outside:
        delivered = outside.post(f"/hooks/{hook}", json={}).json()["execution_id"]
    due = fire.due(tenant, clock, now_ms())
    with bus() as sent:
        assert api_client.post("/events", json={"type": "order", "source": "shop", "data": {}}).status_code == 202
        (event,) = sent.deliver()
    said = api_client.post("/workflows/wf_test/chat", json={"message": "Hi", "thread_id": "t"}).json()["execution_id"]
    by_hand = manual.execute(
        who, "wf_test", trigger_data=1, trigger_node="start", version=None, wait_seconds=0, mark="a mark"
    )
    assert due is not None
    runs = RunStore(TenantTable(tenant))
    for execution_id in (delivered, due.id, event, said, by_hand.id):
        run = runs.get(execution_id)
        assert (run.version, run.canary) == (1, view.canary.id), run
    # Who names a version gets it, and what is pinned was held against the published one.
    for version in (1, 2):
        run = manual.execute(
            who, "wf_test", trigger_data=1, trigger_node="start", version=version, wait_seconds=0, mark=None
        )
        assert (run.version, run.canary) == (version, None)
    pinned = {"give": {"output": 9}}
    run = manual.execute(
        who, "wf_test", trigger_data=1, trigger_node="start", version=None, wait_seconds=0, mark=None, pinned=pinned
    )
    assert (run.version, run.canary) == (2, None)


def test_a_repeat_finds_its_run_although_the_canary_has_ended(who, tenant):
    two_versions(who)
    canary.begin(who, "wf_test", 1, **LIMITS)
    occasion = digest("an occasion")
    served = fire.published(tenant, "wf_test")
    assert served is not None
    first = fire.fire(tenant, served, "start", 1, BY, occasion=occasion)
    canary.remove(who, "wf_test")
    served = fire.published(tenant, "wf_test")
    assert served is not None
    assert served.beside is None
    second = fire.fire(tenant, served, "start", 1, BY, occasion=occasion)
    assert (second.id, second.version) == (first.id, 1)


def test_a_sub_workflow_runs_it(who, tenant):
    two_versions(who)
    canary.begin(who, "wf_test", 1, **LIMITS)
    parent = a_run(tenant)
    wanted = children.Wanted("wf_test", None, 1)
    found = children.Children(tenant, parent.id)._published(parent, wanted)
    child = start.start(tenant, found, trigger_node=None, trigger_data=1, triggered_by=BY, depth=1)
    assert child.version == 1
    named = children.Children(tenant, parent.id)._published(parent, replace(wanted, version=2))
    assert start.start(tenant, named, trigger_node=None, trigger_data=1, triggered_by=BY).version == 2


# --- when it loses its runs ------------------------------------------------------------------------------------------


def test_it_is_withdrawn_by_itself_and_says_why(machines, who, tenant, api_client):
    """The whole way: runs on moto's interpreter, their ends through the table's stream, handed over twice."""
    two_versions(who, first="1", second="$error('broken')")
    stream = TableStream()
    canary.begin(who, "wf_test", 1, **LIMITS)
    for number in range(3):
        assert canary.get(tenant, "wf_test").canary.state == "active"
        served = fire.published(tenant, "wf_test")
        assert served is not None
        run = fire.fire(tenant, served, "start", number, BY)
        assert machines.until(run).status == "failed"
        records = stream.records()
        assert feed(records) == []
        assert feed(records) == []
        assert counted(tenant) == (number + 1, number + 1)
    view = canary.get(tenant, "wf_test")
    assert (view.canary.state, view.canary.ended_by) == ("withdrawn", None)
    assert "3 of 3 runs of version 1 failed" in (view.canary.reason or "")
    served = fire.published(tenant, "wf_test")
    assert served is not None
    run = fire.fire(tenant, served, "start", 1, BY)
    assert (machines.until(run).status, run.version) == ("completed", 2)
    (note,) = notifications.listing(who, None, 10, unread=True).items
    assert "withdrawn" in note.title
    assert "3 of 3" in note.message
    assert feed(stream.records()) == []
    assert counted(tenant) == (3, 3)


def test_too_few_or_not_too_many_failures_leave_it(who, tenant):
    two_versions(who)
    stream = TableStream()
    made = canary.begin(who, "wf_test", 1, **{**LIMITS, "min_runs": 6}).canary
    statuses = ["failed", "failed", "completed", "completed", "cancelled", "failed", "completed"]
    for status in statuses[:2]:
        ended(tenant, made.id, status)
    assert feed(stream.records()) == []
    assert canary.get(tenant, "wf_test").canary.state == "active"  # two of two, but six have to be there
    for status in statuses[2:]:
        ended(tenant, made.id, status)
        feed(stream.records())
    assert counted(tenant) == (6, 3)  # the cancelled one says nothing
    assert canary.get(tenant, "wf_test").canary.state == "active"  # a half is no more than a half
    ended(tenant, made.id, "failed")
    feed(stream.records())
    assert canary.get(tenant, "wf_test").canary.state == "withdrawn"


def test_other_runs_are_not_counted(who, tenant, other_tenant):
    two_versions(who)
    made = canary.begin(who, "wf_test", 1, **LIMITS).canary
    now = canary.begin(who, "wf_test", 1, **LIMITS).canary
    stream = TableStream()
    stream.records()
    for _ in range(5):
        ended(tenant, None, "failed")
        ended(tenant, made.id, "failed")  # of the one before it
        ended(other_tenant, now.id, "failed")
        run = a_run(tenant, canary=now.id)  # of a workflow that is not there
        RunStore(TenantTable(tenant)).close(run.id, "failed")
    assert feed(stream.records()) == []
    view = canary.get(tenant, "wf_test")
    assert (view.canary, view.total.runs) == (now, 0)


def test_each_window_counts_for_itself(who, tenant):
    two_versions(who)
    made = canary.begin(who, "wf_test", 1, **{**LIMITS, "window_seconds": 60}).canary
    for number in range(6):
        at = made.started_at + (number // 2) * 60_000
        item = {"canary": made.id, "status": "failed", "workflow_id": "wf_test", "completed_at": at}
        run_ended(tenant, f"ex_{number}", item)
    view = canary.get(tenant, "wf_test")
    assert (view.canary.state, view.total.runs, view.window.runs) == ("active", 6, 2)
    late = {"canary": made.id, "status": "failed", "workflow_id": "wf_test", "completed_at": made.started_at + 119_999}
    run_ended(tenant, "ex_late", late)
    assert canary.get(tenant, "wf_test").canary.state == "withdrawn"


def test_twenty_ends_at_once_are_counted_each_once(who, tenant):
    two_versions(who)
    made = canary.begin(who, "wf_test", 1, **{**LIMITS, "min_runs": 1_000}).canary
    item = {"canary": made.id, "status": "failed", "workflow_id": "wf_test", "completed_at": made.started_at}

    def told(number: int) -> None:
        from shared.errors import Unavailable

        for _ in range(50):
            try:
                run_ended(tenant, f"ex_{number % 10}", item)
            except Unavailable:  # the stream hands it over again
                continue
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(told, range(20)))
    assert counted(tenant) == (10, 10)


# --- what ends it ----------------------------------------------------------------------------------------------------


def test_promoted_it_is_the_published_version(who, tenant):
    two_versions(who)
    canary.begin(who, "wf_test", 1, **LIMITS)
    workflow = canary.promote(who, "wf_test")
    assert (workflow.published_version, workflow.latest_version, workflow.canary) == (1, 2, None)
    assert service.read(who, "wf_test")[0].published_version == 1  # the draft's item says so, too
    served = fire.published(tenant, "wf_test")
    assert served is not None
    assert (served.version, served.beside) == (1, None)
    assert canary.get(tenant, "wf_test").canary.state == "promoted"
    with pytest.raises(Conflict, match="promoted"):
        canary.promote(who, "wf_test")
    assert release.publish_workflow(tenant, who, "wf_test", None).version.version == 3


@pytest.mark.parametrize("what", ["publish", "unpublish"])
def test_publishing_and_unpublishing_end_it(who, tenant, what):
    two_versions(who)
    canary.begin(who, "wf_test", 1, **LIMITS)
    if what == "publish":
        release.publish_workflow(tenant, who, "wf_test", None)
    else:
        release.unpublish_workflow(tenant, "wf_test")
    served = fire.published(tenant, "wf_test")
    assert served is None or served.beside is None
    assert canary.get(tenant, "wf_test").canary.state == "superseded"
    with pytest.raises(Conflict, match="superseded"):
        canary.promote(who, "wf_test")
    canary.remove(who, "wf_test")
    assert canary.get(tenant, "wf_test").canary.state == "superseded"


def test_removing_may_be_repeated(who, tenant):
    two_versions(who)
    canary.begin(who, "wf_test", 1, **LIMITS)
    for _ in range(2):
        canary.remove(who, "wf_test")
    view = canary.get(tenant, "wf_test")
    assert (view.canary.state, view.canary.ended_by) == ("removed", who.id)


def test_what_cannot_be_one_is_refused(who, tenant):
    service.create(who, giving("1", HOOK))
    with pytest.raises(Conflict, match="not published"):
        canary.begin(who, "wf_test", 1, **LIMITS)
    release.publish_workflow(tenant, who, "wf_test", None)
    for call in (lambda: canary.get(tenant, "wf_test"), lambda: canary.remove(who, "wf_test")):
        with pytest.raises(NotFound, match="no canary"):
            call()
    with pytest.raises(Conflict, match="published one"):
        canary.begin(who, "wf_test", 1, **LIMITS)
    with pytest.raises(NotFound, match="no version"):
        canary.begin(who, "wf_test", 2, **LIMITS)
    others = [
        giving("1", node("hook", "http_webhook", {"methods": ["PUT"]})),
        giving("1", HOOK, CLOCK),
        giving("1"),
        giving("1", {**HOOK, "disabled": True}),
    ]
    for number, other in enumerate(others):
        service.put(who, "wf_test", other, None)
        release.publish_workflow(tenant, who, "wf_test", None)
        with pytest.raises(Invalid) as refused:
            canary.begin(who, "wf_test", 1, **LIMITS)
        assert refused.value.code == "triggers_differ", number
        assert refused.value.errors


# --- triggers follow the published version at once -------------------------------------------------------------------


def test_deliveries_while_others_publish_run_one_whole_version_each(who, tenant, api_client):
    """The run's plan, machine and version belong together, and nobody finds nothing published."""
    service.create(who, giving("'v1'", HOOK))
    release.publish_workflow(tenant, who, "wf_test", None)
    hook = api_client.get("/webhooks?workflow_id=wf_test").json()["items"][0]["id"]
    plans: dict[int, str] = {1: release.runnable(tenant, "wf_test", 1).plan}
    done = False

    def deliver() -> list[str]:
        found = []
        with triggered.outside() as outside:
            while not done:
                answer = outside.post(f"/hooks/{hook}", json={})
                assert answer.status_code == 202, answer.text
                found.append(answer.json()["execution_id"])
        return found

    with ThreadPoolExecutor(3) as pool:
        at_work = [pool.submit(deliver) for _ in range(3)]
        try:
            for number in range(2, 8):
                service.put(who, "wf_test", giving(f"'v{number}'", HOOK), None)
                made = release.publish_workflow(tenant, who, "wf_test", None).version
                plans[made.version] = made.published["plan"]
        finally:
            done = True
        delivered = [e for w in at_work for e in w.result()]
    runs = [RunStore(TenantTable(tenant)).get(e) for e in delivered]
    assert all(r.plan == plans[r.version] for r in runs)
    assert len(Counter(r.version for r in runs)) > 1
    with triggered.outside() as outside:
        last = outside.post(f"/hooks/{hook}", json={}).json()["execution_id"]
    assert RunStore(TenantTable(tenant)).get(last).version == 7


def test_an_end_counts_although_nobody_else_could_be_told(who, tenant, monkeypatch):
    two_versions(who)
    view, stream, put = canary.begin(who, "wf_test", 1, **LIMITS), TableStream(), Dynamo.put
    ended(tenant, view.canary.id)
    records = stream.records()

    def throttled(self, item, condition=None):
        if item["SK"].startswith("E#"):
            raise Unavailable("busy")
        put(self, item, condition)

    with monkeypatch.context() as patch:
        patch.setattr(Dynamo, "put", throttled)
        assert (len(feed(records)), counted(tenant)) == (1, (1, 0))
    assert (feed(records), counted(tenant)) == ([], (1, 0))


def test_ends_that_meet_on_a_counter_are_all_counted(who, tenant, monkeypatch):
    two_versions(who)
    canary_id, transact, busy = canary.begin(who, "wf_test", 1, **LIMITS).canary.id, Dynamo.transact, [1, 2, 3]
    execution_id = ended(tenant, canary_id)

    def conflicting(self, writes):
        if busy:
            raise Contended(f"TransactionConflict {busy.pop()}")
        transact(self, writes)

    monkeypatch.setattr(Dynamo, "transact", conflicting)
    run = {"canary": canary_id, "status": "completed", "workflow_id": "wf_test", "completed_at": now_ms()}
    run_ended(tenant, execution_id, run)
    assert (busy, counted(tenant)) == ([], (1, 0))
