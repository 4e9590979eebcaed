"""One of everything a tenant may have, and arguments that name it, for `test_every_store.py`.

A new store adds to `furnished`: make its things for the tenant, with `MARK` in whatever they hold beside their ids;
give its records to `record` and the values of its methods' other parameters to `value`. The first is what a method is
called with; each other one takes its place once.
"""

from __future__ import annotations

import json
from dataclasses import replace

import httpx

from shared.cache.store import CacheStore
from shared.chats.store import Turn, TurnStore
from shared.clock import now_ms
from shared.collections.model import CollectionRecord, Model, Passage
from shared.collections.store import CollectionStore
from shared.credentials.model import Lease, Sealed, Token
from shared.credentials.store import CredentialStore
from shared.files.store import FileStore, KnownFiles
from shared.generations.model import Generation
from shared.generations.store import GenerationStore
from shared.graphs.store import GraphStore
from shared.live import connections
from shared.live.store import ChannelStore
from shared.members.store import MemberStore
from shared.notifications.model import Notification
from shared.notifications.store import NotificationStore
from shared.resources.model import Kind
from shared.resources.store import ResourceStore
from shared.runs.model import ChildLink, NodeRecord, RunStatus
from shared.runs.store import RunStore
from shared.store import pages
from shared.store.table import Change, TenantTable
from shared.subscriptions.model import ListenerType, Subscription
from shared.subscriptions.store import SubscriptionStore
from shared.tasks.model import Answer, Follow, Notice, Shown, TaskStatus, Vote
from shared.tasks.store import TaskStore
from shared.tenancy import Tenant
from shared.threads.model import Thread
from shared.threads.store import ThreadStore
from shared.triggers.store import TriggerStore
from shared.workflows.store import WorkflowStore
from tests import triggered
from tests.functions.api.samples import made
from tests.shared import store_samples_around as around
from tests.shared.sampled import LARGE, MARK, OTHER_DAY, Samples, without_mark
from tests.shared.tasks.asking import a_run, a_task


def furnished(client: httpx.Client, tenant: Tenant) -> Samples:
    """Make one of everything for the tenant whose owner's client this is."""
    samples, table = Samples(), TenantTable(tenant)
    samples.value(
        cursor=[None, pages.encode(tenant, "members", {"PK": table.keys.members(), "SK": "us_0"})],
        limit=[50],
        listing=["all"],
        keep=[lambda _thing: True],
        known=[None, 1],
        shown=[lambda hook: hook],
        unchanged=[False, True],
        name=["Other"],
        values=[{"name": "Other"}],
        at=[1],
        at_ms=[1],
        reason=["requested"],
    )
    _members(client, table, samples)
    workflow_id = _workflow(client, table, samples)
    _run(client, table, samples, workflow_id)
    _tasks(client, table, samples)
    around.links(client, table, samples)
    around.used(table, samples)
    _channel(table, samples)
    _cache_and_files(table, samples)
    _collections(table, samples)
    _resources(client, table, samples)
    _threads(table, samples)
    _credentials(client, table, samples)
    _notifications(table, samples)
    _graphs(table, samples)
    around.webhooks_out(table, samples)
    around.guided(client, table, samples)
    around.templates(client, table, samples, workflow_id)
    return samples


def _members(client: httpx.Client, table: TenantTable, samples: Samples) -> None:
    made(client.patch("/tenants/current", json={"name": f"First {MARK}"}))
    user_id = made(client.post("/users", json={"email": f"{MARK}@first.example"}))["id"]
    type_id = made(client.post("/user-types", json={"name": f"Customer {MARK}"}))["id"]
    body, once = {"name": f"Robot {MARK}", "role": "viewer"}, {"Idempotency-Key": "key-1"}
    key_id = made(client.post("/api-keys", json=body, headers=once))["id"]
    store = MemberStore(table)
    key = store.api_key(key_id)
    samples.record(store.tenant(), store.member(user_id), store.user_type(type_id), key)
    samples.value(user_id=[user_id, key.created_by], type_id=[type_id], key_id=[key_id])


def _workflow(client: httpx.Client, table: TenantTable, samples: Samples) -> str:
    nodes = [
        triggered.webhook(auth="hmac"),
        triggered.schedule(every="1 hour", start=f"{MARK}T00:00:00Z"),
        {"id": "start", "type": "manual_trigger"},
    ]
    workflow_id = triggered.create(client, triggered.document(*nodes, name=f"Refunds {MARK}"))
    published = made(client.post(f"/workflows/{workflow_id}/publish", json={"notes": f"As of {MARK}"}))
    made_of = {t["node_id"]: t["id"] for t in published["triggers"]}
    workflows, triggers = WorkflowStore(table), TriggerStore(table)
    workflow, document = workflows.get_with_document(workflow_id)
    schedule = triggers.schedule(made_of["clock"])
    triggers.ensure_schedule(workflow_id, "later", 1, {"every": "1 day"}, disabled=False)  # not placed
    samples.record(workflow, workflows.version(workflow, 1)[0], triggers.webhook(made_of["hook"]), schedule)
    samples.value(
        workflow_id=[workflow_id],
        document=[without_mark(document)],
        compiled=[{"plan": "p"}],
        number=[1],
        webhook_id=[made_of["hook"]],
        schedule_id=[made_of["clock"], triggers.schedule_id(workflow_id, "later")],
        node_id=["hook", "clock"],
        version=[2],  # of a trigger: later than the one it has
        config=[{"every": "1 day"}],
        disabled=[False],
        change=[{"state": "paused"}],
        mark=["placed"],
    )
    around.tested(table, samples, workflow_id)
    return workflow_id


def _run(client: httpx.Client, table: TenantTable, samples: Samples, workflow_id: str) -> None:
    body = {"trigger_data": {"day": MARK}}
    run_id = made(client.post(f"/workflows/{workflow_id}/execute", json=body, headers={"Idempotency-Key": "k"}))["id"]
    runs = RunStore(table)
    node = {"status": "running", "owner": "call", "lease": 0, "body": json.dumps({"node": "add", "day": MARK})}
    runs.put_node(run_id, "", "add", node)
    runs.put_packs(run_id, [("J##P#1", {"records": [node["body"]]})])
    runs.put_lot(run_id, "each", 0, {"lot": json.dumps({"day": MARK})})
    runs.put_event(run_id, "1", {"type": "node.completed", "body": node["body"]})
    runs.park(run_id, "Wait", b"sealed", 0)
    runs.link(run_id, ChildLink("ex_child", 1, b"sealed", 1))
    runs.respond(run_id, {"status": 200, "headers": "{}", "body": MARK})
    runs.park(run_id, "Wait longer", f"sealed {MARK}".encode(), 0)
    failed = a_run(table.tenant, workflow_id=workflow_id, trigger={"v": MARK})
    runs.close(failed.id, "failed", error={"message": MARK})
    samples.record(runs.get(run_id), runs.get(failed.id), NodeRecord("add", "", "failed"), Change(set={"lease": 1}))
    samples.record("completed", kind=RunStatus)
    samples.record(ChildLink("ex_child", 2, b"other", 2))
    item = table.get(table.keys.run(run_id)) or {}
    last = {name: item[name] for name in ("PK", "SK", "GSI1PK", "GSI1SK")}
    samples.value(
        execution_id=[run_id, failed.id],
        child_id=["ex_child"],
        start=[None, last],
        item=[{k: without_mark(v) for k, v in item.items() if not k.startswith("GSI")}],  # its PK is the other tenant's
        seen=[node],
        scope=[""],
        node=["add"],
        condition=[None],
        prefix=["J#", "E#"],
        packs=[[("J##P#1", {"records": []})]],
        loop=["each"],
        attempt=[0],
        asked_in=[0],
        up_to=[2**53],
        records=[[NodeRecord("add", "", "completed")]],
        sort_keys=[["J##P#1"]],
        sequence=["1"],
        after=["", "0"],
        state=["Wait"],
        sealed_token=[b"sealed", b"none"],
        control=["cancel", None],
        since=[None],
        if_asked=[False, True],
        consistent=[True],
        final_output=[{"v": 1}],
        error=[{"message": "no"}],
    )


def _tasks(client: httpx.Client, table: TenantTable, samples: Samples) -> None:
    store = TaskStore(table)
    run = RunStore(table).get(samples.by_name["execution_id"][0])
    task_ids = [a_task(table.tenant, run, title=f"Refund of {MARK}?", data=LARGE) for _ in range(2)]
    holder = made(client.post(f"/tasks/{task_ids[0]}/claim"))["claimed_by"]
    assert store.complete(store.get(task_ids[1]).task, Answer("approved", LARGE, MARK, holder, 1), holder)
    voted = a_task(table.tenant, run, title=f"Refund of {MARK}?", quorum=2, assignees=("key_1",))
    vote = Vote(holder, holder, "approved", 1, store.write_said({"comment": MARK, "data": LARGE}))
    assert store.vote(store.get(voted).task, [vote])
    task_ids.append(voted)
    kept = [store.get(t) for t in task_ids]
    samples.record(vote, Follow((), "email", "mail"), Notice("task_overdue", ("somebody",), "overdue"))
    samples.record(*kept, *(k.task for k in kept), Shown("", None, None), Answer("approved", {}, None, holder, 1))
    samples.record("cancelled", kind=TaskStatus)
    samples.value(
        task_id=task_ids,
        status=[None, "open"],
        who=[holder],
        held_by=[holder],
        assignees=[("somebody",)],
        token=[b"token"],
        expires_at=[1],
        look_at=[1],
        claimant=[holder],
        votes=[(), [vote]],
        also=[()],
        notices=[()],
        answered=[{"comment": "Other", "data": "y" * 40_000}],
        failed=[True],
    )


def _channel(table: TenantTable, samples: Samples) -> None:
    connections.add("one", table.tenant)
    known = connections.find("one")
    assert known is not None
    connections.watch(known, "tenant")
    ChannelStore(table).add("tenant", f"two-{MARK}")
    samples.value(channel=["tenant"], connection_id=["one", "three"])


def _cache_and_files(table: TenantTable, samples: Samples) -> None:
    CacheStore(table).set("rates", {"as of": MARK})
    FileStore(table).write("reports/rates.txt", MARK.encode(), "text/plain")
    samples.value(
        key=["rates", ""],
        value=[{"as of": OTHER_DAY}, "x" * 300_000],
        ttl_seconds=[None, 60, -1],
        path=["reports/rates.txt", "../rates.txt"],
        begins=["reports/", "rep", ""],
        size=[5],
        body=[b"other"],
        content_type=["text/plain", "text"],
    )


def _collections(table: TenantTable, samples: Samples) -> None:
    from shared.collections.embedded import Embedded

    store = CollectionStore(table)
    store.add(CollectionRecord("rates", "co_1", 1, 2, model=Model("openai", "m"), description=f"Rates of {MARK}"))
    Embedded(store, "rates").upsert([Passage("p1", f"Rates of {MARK}", [1.0, 0.0], {"day": MARK})])
    kept = store.get("rates")
    store.add(CollectionRecord("gone", "co_2", 1, 2, description=MARK))
    samples.record(kept, CollectionRecord("new", "co_3", 1, 2), store.begin_removal("gone", None))
    samples.value(
        name=["rates", "gone", "Other"],
        description=["Other"],
        collection_id=["co_1"],
        segment_id=[kept.segments[0].id],
    )


def _resources(client: httpx.Client, table: TenantTable, samples: Samples) -> None:
    body = {"name": "clerk", "model": {"model": "m"}, "instructions": f"Today is {MARK}."}
    made(client.post("/agents", json=body))
    store = ResourceStore(table)
    clerk = store.get("agents", "clerk")
    store.keep_found(clerk, {"as of": MARK})
    samples.record(clerk)
    samples.record("agents", kind=Kind)
    samples.value(named=["clerk"], found=[{"as of": OTHER_DAY}], behind=[None, "a"], earlier=[[], [clerk]])
    generations = GenerationStore(table)
    generations.create(Generation("gen_1", "running", 0, now_ms(), "us_1", {"prompt": MARK}))
    samples.record(generations.get("gen_1"))
    samples.value(generation_id=["gen_1"])


def _threads(table: TenantTable, samples: Samples) -> None:
    store = ThreadStore(table, "us_1")
    store.append("refunds", [{"role": "user", "content": f"As of {MARK}?"}], key="rates")
    samples.record(store.change(store.get("refunds"), {"title": MARK, "metadata": {"day": MARK}}))
    samples.record(Thread("new", "", {}, 0, 1, 1, 1))
    samples.value(
        thread_id=["refunds", "new", "no such"],
        said=[[{"role": "user", "content": "Hello"}]],
        newest_first=[False, True],
        before=[None, 1],
    )


def _credentials(client: httpx.Client, table: TenantTable, samples: Samples) -> None:
    body = {"name": "crm", "kind": "bearer", "values": {"token": MARK}, "description": f"As of {MARK}"}
    made(client.post("/credentials", json=body))
    store = CredentialStore(table)
    record = store.get("crm")
    store.lease(record, Lease("somebody", 1))
    samples.record(record, replace(record, name="new"), Lease("somebody", 1), Token(b"t", 1), Sealed(b"k", b"b"))
    samples.value(name=[*samples.by_name["name"], "crm"])


def _graphs(table: TenantTable, samples: Samples) -> None:
    store = GraphStore(table)
    for _ in range(2):
        store.commit(store.lease("Other", 60_000), MARK.encode())
    samples.record(store.lease("Other", 60_000))
    samples.value(milliseconds=[1_000])


def _notifications(table: TenantTable, samples: Samples) -> None:
    store = NotificationStore(table)
    store.add("us_1", Notification("nt_1", f"As of {MARK}", MARK, "ex_1", 1))
    store.mute("us_1", ["task_overdue"], None)
    samples.record(Notification("nt_2", "Other", "Other", "ex_1", 1))
    TurnStore(table).take("refunds", samples.by_name["execution_id"][0])
    KnownFiles(table).tell("reports/rates.txt", MARK, is_there=True)
    node_id = samples.by_name["node_id"][0]
    listener = Subscription("event_listener", samples.by_name["workflow_id"][0], node_id, {"day": MARK}, 0)
    SubscriptionStore(table).put(listener)
    samples.record(listener, Turn(f"ex_{MARK}", 1))
    samples.record("event_listener", kind=ListenerType)
    samples.value(sequencer=["2032"], is_there=[True, False], instead_of=[None, Turn(f"ex_{OTHER_DAY}", 1)])
    samples.value(owner_id=["us_1"], notification_id=["nt_1", "no such"], unread=[False, True])
