from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from functions.stream.handler import handler
from infrastructure.local.interpreter import Context
from shared.analytics.service import day_of
from shared.aws.dynamo import Dynamo
from shared.aws.streams import Change, Undecodable, read
from shared.clock import now_ms
from shared.errors import Unavailable
from shared.runs.model import NodeRecord
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tasks.service import TaskService
from shared.tenancy import Principal
from stepfunctions import control
from stepfunctions.feed import events_of, feed
from tests.shared.tasks.asking import TOKEN, a_run, a_task
from tests.stepfunctions.compiler.documents import document, node
from tests.table_stream import TableStream


@pytest.fixture
def stream(aws) -> TableStream:
    return TableStream()


def _events(tenant, execution_id: str) -> list[dict[str, Any]]:
    return RunStore(TenantTable(tenant)).events(execution_id, "", 10_000).items


def _fed(stream: TableStream, tenant, execution_id: str) -> list[dict[str, Any]]:
    assert feed(stream.records()) == []
    return _events(tenant, execution_id)


def _told(events: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(e["type"], e.get("node_id")) for e in events]


def test_a_run_with_a_question_from_start_to_end(machines, http, stream, tenant):
    asking = document(
        [
            node("start", "manual_trigger"),
            node("get", "http_request", inputs={"url": f"{http.base}/echo"}),
            node("ask", "human_in_the_loop", {"title": "Refund?"}),
            node("no", "transform", {"expression": "'refused'"}),
            node("out", "output"),
        ],
        """start.trigger -> get.body; get.status -> ask.input; ask.approved -> out.value
        ask.rejected -> no.input; no.output -> out.value""",
    )
    run = machines.start(asking)
    machines.until(run, "paused")
    before = _fed(stream, tenant, run.id)
    assert _told(before)[0] == ("execution_started", None)
    assert set(_told(before)) >= {
        ("node_started", "get"),
        ("node_completed", "get"),
        ("node_started", "ask"),
        ("task_created", "ask"),
        ("execution_paused", None),
    }
    task = machines.open_tasks(run)["ask"]
    admin = Principal(tenant, "api_key", "key_a", "admin")
    TaskService(tenant).complete(admin, task.id, "approve", None, "a secret comment")
    machines.until(run)
    after = _fed(stream, tenant, run.id)[len(before) :]
    assert _told(after)[0] == ("task_completed", "ask")
    assert set(_told(after)) >= {
        ("execution_resumed", None),
        ("node_completed", "ask"),
        ("node_skipped", "no"),
        ("node_completed", "out"),
    }
    assert _told(after)[-1] == ("execution_completed", None)
    everything = before + after
    assert len({e["SK"] for e in everything}) == len(everything)
    assert {e["workflow_id"] for e in everything} == {run.workflow_id}
    created = next(e for e in everything if e["type"] == "task_created")
    assert (created["task_id"], created["title"]) == (task.id, "Refund?")
    completed = next(e for e in everything if e["type"] == "node_completed" and e["node_id"] == "get")
    assert completed["status"] == "completed"
    assert completed["duration_ms"] >= 0
    assert completed["attempts"] == 1
    assert "a secret comment" not in json.dumps(everything)
    assert all(e["ttl"] > 0 for e in everything)


def test_what_is_handed_over_again_changes_nothing(machines, http, stream, tenant):
    failing = document(
        [
            node("start", "manual_trigger"),
            node("get", "http_request", inputs={"url": f"{http.base}/status/500"}),
            node("out", "output"),
        ],
        "start.trigger -> get.body; get.status -> out.value",
    )
    run = machines.start(failing)
    assert machines.until(run).status == "failed"
    records = stream.records()
    assert feed(records) == []
    first = _events(tenant, run.id)
    (failed,) = [e for e in first if e["type"] == "node_failed"]
    assert (failed["node_id"], failed["error"]) == ("get", "HttpError")
    assert first[-1]["type"] == "execution_failed"
    assert (first[-1]["error"], first[-1]["node_id"]) == ("HttpError", "get")
    assert feed(records[3:]) == []
    assert feed([*records, *records]) == []
    assert _events(tenant, run.id) == first


def test_its_own_writes_tell_nothing(stream, tenant):
    run = a_run(tenant)
    RunStore(TenantTable(tenant)).begin(run.id)
    assert len(_fed(stream, tenant, run.id)) == 1
    own = stream.records()
    assert own
    assert {r["dynamodb"]["Keys"]["SK"]["S"].split("#")[0] for r in own} <= {"E", "MARK", day_of(now_ms())}
    assert feed(own) == []
    assert stream.records() == []


def test_of_a_long_loop_only_the_first_iterations_tell(machines, http, stream, tenant):
    looping = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"max_concurrency": 10}),
            node("get", "http_request", parent="each", inputs={"url": f"{http.base}/status/200"}),
            node("double", "transform", {"expression": "item * 2"}, parent="each"),
            node("inner", "loop", parent="each", inputs={"items": [1, 2]}),
            node("deep", "transform", {"expression": "item"}, parent="inner"),
            node("out", "output"),
        ],
        """start.trigger -> each.items; each.results -> out.value""",
    )
    run = machines.start(looping, list(range(30)))
    assert machines.until(run).status == "completed"
    events = _fed(stream, tenant, run.id)
    told = Counter((e["type"], e.get("node_id")) for e in events)
    assert told["node_started", "get"] == told["node_completed", "get"] == 20
    assert told["node_completed", "double"] == 20
    assert told["node_completed", "each"] == 1
    assert not any(node_id == "deep" for _, node_id in told)
    assert {e["scope"] for e in events if e.get("node_id") == "get"} == {f"each/{i}" for i in range(20)}


def test_pausing_and_cancelling_are_told(stream, tenant):
    run = a_run(tenant)
    store = RunStore(TenantTable(tenant))
    store.begin(run.id)
    store.rest(run.id, "requested")
    store.rest(run.id, "requested")
    store.begin(run.id)
    store.close(run.id, "cancelled")
    store.close(run.id, "failed")
    assert [e["type"] for e in _fed(stream, tenant, run.id)] == [
        "execution_started",
        "execution_paused",
        "execution_resumed",
        "execution_cancelled",
    ]


def test_tasks_that_nobody_answered_are_told(stream, tenant):
    run = a_run(tenant)
    lapsed, withdrawn = a_task(tenant, run), a_task(tenant, run)
    service = TaskService(tenant)
    service.settle(lapsed)
    service.withdraw(run.id, now_ms())
    told = [(e["type"], e["task_id"]) for e in _fed(stream, tenant, run.id)]
    assert told == [
        ("task_created", lapsed),
        ("task_created", withdrawn),
        ("task_lapsed", lapsed),
        ("task_cancelled", withdrawn),
    ]
    assert TOKEN not in json.dumps(_events(tenant, run.id))


def test_runs_of_two_tenants_are_kept_apart(stream, tenant, other_tenant):
    mine = a_run(tenant)
    theirs = a_run(other_tenant, id=mine.id)
    for each, run in ((tenant, mine), (other_tenant, theirs)):
        RunStore(TenantTable(each)).begin(run.id)
    assert feed(stream.records()) == []
    ours, others = _events(tenant, mine.id), _events(other_tenant, theirs.id)
    assert len(ours) == len(others) == 1
    assert {ours[0]["workflow_id"], others[0]["workflow_id"]} == {mine.workflow_id, theirs.workflow_id}


def test_nothing_is_written_beside_a_run_that_is_gone(stream, tenant):
    run = a_run(tenant)
    store = RunStore(TenantTable(tenant))
    store.begin(run.id)
    store.close(run.id, "failed")
    store.delete(run.id)
    assert _fed(stream, tenant, run.id) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: r.pop("dynamodb"),
        lambda r: r["dynamodb"].pop("SequenceNumber"),
        lambda r: r["dynamodb"].update(SequenceNumber="x1"),
        lambda r: r["dynamodb"].update(Keys={"PK": {"S": "x"}}),
        lambda r: r["dynamodb"].update(NewImage={"status": {"Q": "x"}}),
        lambda r: r["dynamodb"].update(NewImage={"token": {"B": "not base64!"}}),
        lambda r: r["dynamodb"].update(NewImage=[1]),
        lambda r: r["dynamodb"].update(NewImage={}),
        lambda r: r["dynamodb"]["NewImage"].update(status={"S": "unheard-of"}),
        lambda r: r["dynamodb"]["Keys"].update(PK={"S": "T#nobody#EX#ex_1"}),
    ],
)
def test_a_record_that_cannot_be_read_holds_up_nothing(stream, tenant, spoil, capsys):
    run = a_run(tenant)
    store = RunStore(TenantTable(tenant))
    stream.records()
    store.begin(run.id)
    store.close(run.id, "completed")
    records = stream.records()
    spoil(records[0])
    answer = handler({"Records": records}, Context())
    assert answer == {"batchItemFailures": []}
    assert "execution_completed" in {e["type"] for e in _events(tenant, run.id)}
    assert '"message":"batch"' in capsys.readouterr().out


def test_damaged_journal_items_hold_up_nothing(stream, tenant):
    run = a_run(tenant)
    table = TenantTable(tenant)
    store = RunStore(table)
    for body in ("{", "[]", '{"node": 1}', '{"node":"a","scope":"","status":"done"}'):
        store.put_node(run.id, "", "bad", {"status": "completed", "body": body, "owner": "x", "lease": 0})
        store.put_node(run.id, "", "bad", {"status": "running", "body": body, "owner": "x", "lease": 0})
    store.put_packs(run.id, [("J##P#1", {"pack": b"not deflated"})])
    store.begin(run.id)
    assert ("execution_started", None) in _told(_fed(stream, tenant, run.id))


def test_what_could_not_be_written_is_asked_for_again(stream, tenant, other_tenant, monkeypatch):
    mine, theirs = a_run(tenant), a_run(other_tenant)
    for each, run in ((tenant, mine), (other_tenant, theirs)):
        RunStore(TenantTable(each)).begin(run.id)
    records = stream.records()
    put = Dynamo.put

    def throttled(self, item, condition=None):
        if item["PK"].endswith(mine.id):
            raise Unavailable("busy")
        put(self, item, condition)

    monkeypatch.setattr(Dynamo, "put", throttled)
    answer = handler({"Records": records}, Context())
    numbers = [r["dynamodb"]["SequenceNumber"] for r in records if mine.id in r["dynamodb"]["Keys"]["PK"]["S"]]
    assert answer == {"batchItemFailures": [{"itemIdentifier": numbers[0]}]}
    assert len(_events(other_tenant, theirs.id)) == 1
    monkeypatch.setattr(Dynamo, "put", put)
    assert handler({"Records": records}, Context()) == {"batchItemFailures": []}
    assert len(_events(tenant, mine.id)) == 1


def test_sequences_sort_as_numbers_do():
    def at(sequence: str) -> str:
        new = {"status": "running", "attempt": 0}
        change = Change(sequence, "MODIFY", "T#t#EX#e", "META", 0, {"status": "pending"}, new)
        return events_of("e", "w", change)[0].sequence

    numbers = ["9", "10", "99999999999999999999999999999999999999", "100000000000000000000000000000000000000"]
    assert sorted(map(at, reversed(numbers))) == list(map(at, numbers))


def test_what_comes_late_leaves_nothing_of_a_deleted_run(stream, tenant):
    """The stream may be behind, and a process that knows the run writes the events of what came before."""
    store = RunStore(TenantTable(tenant))
    run, other = a_run(tenant), a_run(tenant)
    for each in (run, other):
        store.begin(each.id)
        assert len(_fed(stream, tenant, each.id)) == 1
    for each in (run, other):
        store.close(each.id, "completed")
    store.delete(run.id)
    behind = stream.records()
    deletion = next(i for i, r in enumerate(behind) if r["eventName"] == "REMOVE")
    assert feed(behind[:deletion]) == []
    assert _told(_events(tenant, run.id)) == [("execution_completed", None)]  # beside nothing, for the moment
    assert feed(behind[deletion:]) == []
    assert _events(tenant, run.id) == []
    assert feed(behind) == []  # the same in one batch
    assert _events(tenant, run.id) == []
    assert len(_events(tenant, other.id)) == 2


def test_the_deletion_of_a_run_takes_nothing_of_a_later_one_with_its_id(stream, tenant):
    store = RunStore(TenantTable(tenant))
    run = a_run(tenant)
    store.delete(run.id)
    store.create(run)
    store.begin(run.id)
    records = stream.records()
    assert feed(records) == []
    assert feed(records) == []
    assert _told(_events(tenant, run.id)) == [("execution_started", None)]


def test_every_type_of_attribute_is_read():
    image = {
        "s": {"S": "x"},
        "n": {"N": "5"},
        "b": {"B": "AAE="},
        "y": {"BOOL": True},
        "z": {"NULL": True},
        "l": {"L": [{"N": "1"}]},
        "m": {"M": {"k": {"S": "v"}}},
        "ss": {"SS": ["a", "b"]},
    }
    told = {"Keys": {"PK": {"S": "p"}, "SK": {"S": "s"}}, "SequenceNumber": "007", "NewImage": image}
    change = read({"eventName": "INSERT", "dynamodb": {**told, "ApproximateCreationDateTime": 1.5}})
    assert (change.sequence, change.at, change.old) == ("7", 1500, None)
    assert change.new == {"s": "x", "n": 5, "b": b"\x00\x01", "y": True, "z": None, "l": [1], "m": {"k": "v"}} | {
        "ss": {"a", "b"}
    }
    with pytest.raises(Undecodable):
        read({"eventName": "INSERT", "dynamodb": told})


def test_a_retried_run_tells_of_its_next_attempt(machines, http, stream, tenant):
    failing = document(
        [node("start", "manual_trigger"), node("get", "http_request", inputs={"url": f"{http.base}/status/500"})],
        "start.trigger -> get.body",
    )
    run = machines.start(failing)
    machines.until(run)
    control.retry(tenant, run.id)
    machines.until(run)
    events = _fed(stream, tenant, run.id)
    ended = [(e["type"], e["attempt"]) for e in events if e["type"].startswith("execution_")]
    assert ended == [(f"execution_{what}", n) for n in (0, 1) for what in ("started", "failed")]


def test_what_a_run_begins_with_tells_nothing_and_hides_nothing(machines, stream, tenant):
    """Its journal is there before the run is, and the stream may come between the two."""
    flow = document(
        [
            node("start", "manual_trigger"),
            node("a", "transform", {"expression": "1"}),
            node("b", "log"),
            node("out", "output"),
        ],
        "start.trigger -> a.input; a.output -> b.message; a.output -> out.value",
    )
    pinned = NodeRecord("a", "", "completed", outputs={"output": {"v": 7}}, origin="pinned")
    RunStore(TenantTable(tenant)).put_nodes("ex_early", [pinned])
    assert feed(stream.records()) == []
    run = machines.until(machines.start(flow, execution_id="ex_early", given=[pinned]))
    assert machines.value(run.final_output) == 7
    told = _told(_fed(stream, tenant, run.id))
    assert (told[0], told[-1]) == (("execution_started", None), ("execution_completed", None))
    assert ("node_completed", "b") in told
    assert "a" not in {node_id for _, node_id in told}
