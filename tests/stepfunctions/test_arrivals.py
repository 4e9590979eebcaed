from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.errors import Unavailable
from shared.files.store import FileStore, KnownFiles
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from stepfunctions import arrivals, fire
from stepfunctions.announce import announce, send
from stepfunctions.feed import feed
from tests import triggered
from tests.arriving import bus, hand_over, notice, sequencer
from tests.table_stream import TableStream


def listener(**pattern):
    return {"id": "on", "type": "event_listener", "config": {"pattern": pattern}}


def watch(node_id="on", **config):
    return {"id": node_id, "type": "file_watch", "config": config}


def released(client, trigger, port):
    body = triggered.document(trigger | {"type": "manual_trigger", "config": {}}) | {"name": "Listens"}
    body["nodes"][0] = trigger
    body["connections"][0]["source_port"] = port
    workflow = triggered.create(client, body)
    triggered.publish(client, workflow)
    return workflow, body


@pytest.fixture
def sent(aws):
    with bus() as found:
        yield found


def runs_of(client, workflow):
    return triggered.executions(workflow, client)


# --- events ----------------------------------------------------------------------------------------------------------


def test_an_event_starts_the_workflows_that_it_fits(api_client, sent, tenant):
    fits, _ = released(
        api_client, listener(**{"detail-type": ["order"], "detail": {"n": [{"numeric": [">", 1]}]}}), "event"
    )
    other, _ = released(api_client, listener(**{"detail-type": ["refund"]}), "event")
    body = {"type": "order", "source": "shop", "data": {"n": 2, "text": "x" * 20_000}}
    answer = api_client.post("/events", json=body)
    assert answer.status_code == 202, answer.text
    (run_id,) = sent.deliver()
    run = RunStore(TenantTable(tenant)).get(run_id)
    assert (run.workflow_id, run.trigger_node, run.chain) == (fits, "on", 0)
    assert run.triggered_by == {"kind": "event", "id": answer.json()["id"], "user": None}
    assert runs_of(api_client, other) == []
    api_client.post("/events", json={**body, "data": {"n": 1}})
    assert sent.deliver() == []


def test_an_event_that_is_delivered_again_starts_nothing_more(api_client, sent):
    workflow, _ = released(api_client, listener(source=["shop"]), "event")
    for _ in range(2):  # the sender repeats it as well
        assert api_client.post("/events", json={"type": "order", "source": "shop", "id": "o-1"}).status_code == 202
    twice = [*sent.waiting, *sent.waiting]
    together = threading.Barrier(len(twice))

    def one(event):
        together.wait()
        return hand_over(event)

    with ThreadPoolExecutor(len(twice)) as pool:
        assert len({r for found in pool.map(one, twice) for r in found}) == 1
    assert len(runs_of(api_client, workflow)) == 1
    api_client.post("/events", json={"type": "order", "source": "other shop", "id": "o-1"})
    api_client.post("/events", json={"type": "order", "source": "shop", "id": "o-2"})
    sent.waiting = sent.waiting[2:]
    assert len(sent.deliver()) == 1  # the other source does not fit


def test_an_events_source_and_id_are_not_mixed_up(api_client, sent):
    workflow, _ = released(api_client, listener(**{"detail-type": ["order"]}), "event")
    for source, event_id in (("shop a", "1"), ("shop", "a 1")):
        api_client.post("/events", json={"type": "order", "source": source, "id": event_id})
    assert len(sent.deliver()) == 2
    assert len(runs_of(api_client, workflow)) == 2


def test_tenants_hear_nothing_of_each_other(api_client, other_client, sent):
    mine, _ = released(api_client, listener(source=["shop"]), "event")
    theirs, _ = released(other_client, listener(source=["shop"]), "event")
    other_client.post("/events", json={"type": "order", "source": "shop"})
    assert len(sent.deliver()) == 1
    assert (len(runs_of(api_client, mine)), len(runs_of(other_client, theirs))) == (0, 1)


def test_a_trigger_whose_run_cannot_be_started_does_not_stop_the_others(api_client, sent, monkeypatch):
    one, _ = released(api_client, listener(source=["shop"]), "event")
    two, _ = released(api_client, listener(source=["shop"]), "event")
    real, broken = fire.published, sorted([one, two])[0]

    def published(tenant, workflow_id):
        if workflow_id == broken:
            raise Unavailable("no")
        return real(tenant, workflow_id)

    api_client.post("/events", json={"type": "order", "source": "shop"})
    (event,) = sent.waiting
    monkeypatch.setattr(fire, "published", published)
    with pytest.raises(Unavailable):
        hand_over(event)
    assert sorted(len(runs_of(api_client, w)) for w in (one, two)) == [0, 1]
    monkeypatch.setattr(fire, "published", real)
    assert len(hand_over(event)) == 2
    assert [len(runs_of(api_client, w)) for w in (one, two)] == [1, 1]


def test_subscriptions_follow_the_published_version(api_client, sent):
    workflow, body = released(api_client, listener(source=["a"]), "event")

    def heard(source):
        api_client.post("/events", json={"type": "t", "source": source})
        return len(sent.deliver())

    assert (heard("a"), heard("b")) == (1, 0)
    body["nodes"][0] = listener(source=["b"])
    api_client.put(f"/workflows/{workflow}", json=body)
    assert (heard("a"), heard("b")) == (1, 0)  # a draft changes nothing
    triggered.publish(api_client, workflow)
    assert (heard("a"), heard("b")) == (0, 1)
    body["nodes"][0]["disabled"] = True
    triggered.republish(api_client, workflow, body)
    assert heard("b") == 0
    body["nodes"][0]["disabled"] = False
    triggered.republish(api_client, workflow, body)
    assert heard("b") == 1
    late = {"type": "t", "source": "b"}
    api_client.post("/events", json=late)
    assert api_client.post(f"/workflows/{workflow}/unpublish").status_code == 200
    assert sent.deliver() == []
    triggered.publish(api_client, workflow)
    assert heard("b") == 1
    assert api_client.post(f"/workflows/{workflow}/unpublish").status_code == 200
    for run in runs_of(api_client, workflow):
        api_client.post(f"/workflows/executions/{run['id']}/cancel")
    assert api_client.delete(f"/workflows/{workflow}").status_code == 204
    assert heard("b") == 0


def test_a_node_that_is_gone_listens_no_more(api_client, sent):
    workflow, _ = released(api_client, listener(source=["a"]), "event")
    triggered.republish(api_client, workflow, triggered.document({"id": "start", "type": "manual_trigger"}))
    api_client.post("/events", json={"type": "t", "source": "a"})
    assert sent.deliver() == []


# --- the platform's own ----------------------------------------------------------------------------------------------


def test_what_becomes_of_runs_reaches_who_listens_for_it(api_client, sent, tenant):
    failed, _ = released(
        api_client, listener(source=["statewright"], **{"detail-type": ["execution_cancelled"]}), "event"
    )
    stream = TableStream()
    other = triggered.create(api_client, triggered.document({"id": "start", "type": "manual_trigger"}))
    run = api_client.post(f"/workflows/{other}/execute").json()["id"]
    assert api_client.post(f"/workflows/executions/{run}/cancel").status_code == 202
    records = stream.records()
    assert feed(records) == []
    (started,) = sent.deliver()
    held = RunStore(TenantTable(tenant)).get(started)
    event = held.trigger["v"]["event"]
    assert (held.workflow_id, held.chain) == (failed, 1)
    assert event["detail-type"] == "execution_cancelled"
    assert event["detail"]["execution_id"] == run
    assert feed(records) == []  # the stream hands it over again
    assert sent.deliver() == [started]


def test_where_nobody_listens_nothing_is_put_on_the_bus(api_client, sent):
    stream = TableStream()
    other = triggered.create(api_client, triggered.document({"id": "start", "type": "manual_trigger"}))
    run = api_client.post(f"/workflows/{other}/execute").json()["id"]
    api_client.post(f"/workflows/executions/{run}/cancel")
    assert feed(stream.records()) == []
    assert sent.waiting == []


def test_an_event_that_the_bus_does_not_take_is_told_again(api_client, sent, monkeypatch):
    released(api_client, listener(source=["statewright"]), "event")
    stream = TableStream()
    other = triggered.create(api_client, triggered.document({"id": "start", "type": "manual_trigger"}))
    run = api_client.post(f"/workflows/{other}/execute").json()["id"]
    api_client.post(f"/workflows/executions/{run}/cancel")
    records = stream.records()

    def refuse(kind, details):
        raise Unavailable("no")

    with monkeypatch.context() as patch:
        patch.setattr("stepfunctions.announce.bus.put", refuse)
        assert len(feed(records)) == 1
    assert feed(records) == []
    assert len(sent.waiting) >= 1


def test_a_workflow_that_hears_of_itself_comes_to_an_end_that_says_why(api_client, sent, tenant):
    workflow, _ = released(
        api_client, listener(source=["statewright"], **{"detail-type": [{"prefix": "execution_"}]}), "event"
    )
    stream = TableStream()
    run = api_client.post(f"/workflows/{workflow}/execute", json={"trigger_node": "on"}).json()["id"]
    store = RunStore(TenantTable(tenant))
    for _ in range(3 * arrivals.MAX_CHAIN):
        if store.get(run).status == "pending":
            api_client.post(f"/workflows/executions/{run}/cancel")
        feed(stream.records())
        found = sent.deliver()
        if not found:
            break
        (run,) = found
    else:
        raise AssertionError("it goes on for ever")
    last = store.get(run)
    assert (last.status, last.chain) == ("failed", arrivals.MAX_CHAIN + 1)
    assert last.error["error"] == "ChainTooLong"
    assert len(runs_of(api_client, workflow)) == arrivals.MAX_CHAIN + 2
    assert sent.deliver() == []


# --- files -----------------------------------------------------------------------------------------------------------


def told(client, tenant, run_id):
    return RunStore(TenantTable(tenant)).get(run_id).trigger["v"]


def test_a_file_starts_the_workflows_that_watch_for_it(api_client, tenant):
    released(api_client, watch(prefix="in/", glob="*.pdf"), "filepath")
    (run_id,) = hand_over(notice(tenant, "in/a.pdf", size=7))
    run = RunStore(TenantTable(tenant)).get(run_id)
    assert run.trigger["v"] == {"filepath": "in/a.pdf", "event": "created", "size": 7}
    assert run.triggered_by == {"kind": "file", "id": "in/a.pdf", "user": None}
    for path in ("in/a.txt", "a.pdf", "in/deep/a.pdf", "input/a.pdf"):
        assert hand_over(notice(tenant, path)) == []


def test_created_changed_and_deleted_are_told_apart(api_client, tenant):
    released(api_client, watch(events=["created", "changed", "deleted"]), "filepath")

    def tell(**more):
        (run,) = hand_over(notice(tenant, "a b/ü.txt", **more))
        return told(api_client, tenant, run)

    assert [tell()["event"], tell()["event"]] == ["created", "changed"]
    assert tell(deleted=True) == {"filepath": "a b/ü.txt", "event": "deleted", "size": 0}
    assert [tell()["event"], tell()["event"]] == ["created", "changed"]


def test_a_file_that_was_there_before_anybody_watched_is_changed(api_client, tenant):
    assert hand_over(notice(tenant, "a.txt")) == []
    released(api_client, watch(events=["changed"]), "filepath")
    (run,) = hand_over(notice(tenant, "a.txt"))
    assert told(api_client, tenant, run)["event"] == "changed"
    assert hand_over(notice(tenant, "new.txt")) == []


def test_notices_that_come_twice_or_in_another_order(api_client, tenant):
    workflow, _ = released(api_client, watch(events=["created", "changed", "deleted"]), "filepath")
    first, second, third = (sequencer() for _ in range(3))
    new, changed = notice(tenant, "a", order=first), notice(tenant, "a", order=second)
    gone = notice(tenant, "a", order=third, deleted=True)
    for event in (new, new, changed, new, gone, changed, gone):
        assert len(hand_over(event)) == 1
    events = sorted(r["trigger"] for r in runs_of(api_client, workflow))
    assert len(events) == 3
    assert [sum(f'"{e}"' in t for t in events) for e in ("created", "changed", "deleted")] == [1, 1, 1]
    backwards = [notice(tenant, "b", order=o, deleted=d) for o, d in ((third, True), (second, False), (first, False))]
    assert [len(hand_over(e)) for e in backwards] == [1, 1, 1]
    assert KnownFiles(TenantTable(tenant)).tell("b", sequencer(), is_there=True) == "created"  # the deletion holds


def test_a_dispatcher_that_dies_has_lost_nothing(api_client, tenant, monkeypatch):
    workflow, _ = released(api_client, watch(), "filepath")
    event = notice(tenant, "a")
    with monkeypatch.context() as patch:
        patch.setattr(fire, "published", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            hand_over(event)
    (run,) = hand_over(event)
    assert told(api_client, tenant, run)["event"] == "created"
    assert len(runs_of(api_client, workflow)) == 1


def test_a_new_file_that_is_written_over_before_its_run_could_be_started(api_client, tenant, monkeypatch):
    workflow, _ = released(api_client, watch(events=["created"]), "filepath")
    new, changed = notice(tenant, "a"), notice(tenant, "a")
    with monkeypatch.context() as patch:
        patch.setattr(fire, "published", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            hand_over(new)
        assert hand_over(changed) == []
    (run,) = hand_over(new)
    assert told(api_client, tenant, run)["event"] == "created"
    assert len(runs_of(api_client, workflow)) == 1


@pytest.mark.parametrize("config", [{"prefix": "Bu\u0308ro/"}, {"glob": "Bu\u0308ro/*.csv"}])
def test_letters_that_are_written_in_another_form_are_the_same(config):
    assert arrivals.watches(config, "B\u00fcro/a.csv", "created")


def test_many_that_tell_of_one_file_at_once(tenant):
    known, meet = KnownFiles(TenantTable(tenant)), threading.Barrier(8)
    orders = [sequencer() for _ in range(8)]

    def one(order):
        meet.wait()
        return known.tell("a", order, is_there=True)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, orders))
    assert found.count("created") == 1
    assert [known.tell("a", o, is_there=True) for o in orders[-1:]] == [found[-1]]


def test_a_workflow_that_writes_what_it_watches_comes_to_an_end(api_client, tenant):
    workflow, _ = released(api_client, watch(events=["created", "changed"]), "filepath")
    store, files = RunStore(TenantTable(tenant)), FileStore(TenantTable(tenant))
    files.write("a", b"1", "text/plain")
    (run,) = hand_over(notice(tenant, "a"))
    for chain in range(1, arrivals.MAX_CHAIN + 2):
        FileStore(TenantTable(tenant), run).write("a", b"2", "text/plain")
        (run,) = hand_over(notice(tenant, "a"))
        assert store.get(run).chain == chain
    assert store.get(run).error["error"] == "ChainTooLong"
    FileStore(TenantTable(tenant), run).write("a", b"3", "text/plain")
    assert hand_over(notice(tenant, "a")) == []
    files.write("a", b"4", "text/plain")  # somebody else
    (run,) = hand_over(notice(tenant, "a"))
    assert store.get(run).chain == 0
    assert workflow


BAD_NOTICES = {
    "another bucket": {"bucket": {"name": "elsewhere"}, "object": {"key": "x/y", "sequencer": "1"}},
    "no tenant": {"bucket": {"name": "sw-test-files"}, "object": {"key": "x/y", "sequencer": "1"}},
    "no path": {"bucket": {"name": "sw-test-files"}, "object": {"key": "t" + "0" * 26 + "/", "sequencer": "1"}},
    "a folder": {"bucket": {"name": "sw-test-files"}, "object": {"key": "t" + "0" * 26 + "/a/", "sequencer": "1"}},
    "no file's name": {"bucket": {"name": "sw-test-files"}, "object": {"key": f"t{'0' * 26}/a/../b", "sequencer": "1"}},
    "no slash": {"bucket": {"name": "sw-test-files"}, "object": {"key": "t" + "0" * 26, "sequencer": "1"}},
}


@pytest.mark.parametrize("detail", BAD_NOTICES.values(), ids=BAD_NOTICES)
def test_notices_of_things_that_are_no_tenants_files(aws, detail):
    assert hand_over({"source": "aws.s3", "detail-type": "Object Created", "detail": detail}) == []


def test_an_event_without_a_tenant_is_refused(aws):
    with pytest.raises(ValueError, match="malformed tenant"):
        hand_over(
            {"source": "statewright", "detail-type": "event", "detail": {"tenant": "x", "chain": 0, "event": {"v": {}}}}
        )


def test_telling_of_a_run_that_is_gone_tells_nothing(api_client, sent, tenant):
    released(api_client, listener(source=["statewright"]), "event")
    announce(tenant, "ex_gone", [])
    assert sent.waiting == []
    assert send(tenant, "t", "api", {}, None)["id"].startswith("ev_")
