"""Counters and places from the table's stream, which tells everything at least once."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.analytics import service as analytics
from shared.analytics.service import day_of, days
from shared.analytics.sketch import bucket
from shared.analytics.store import CounterStore
from shared.aws.dynamo import Dynamo
from shared.aws.streams import Change
from shared.clock import now_ms
from shared.errors import Unavailable
from shared.ids import new_id
from shared.runs.model import NodeRecord
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.usage.store import UsageStore
from stepfunctions.metering import heard
from tests.stepfunctions.told_runs import Told, numbers


def _counted(tenant: Tenant, subject: str = analytics.workflow("wf_counted")) -> Counter[str]:
    today = day_of(now_ms())
    return days(tenant, subject, today, today).get(today, Counter())


def _numbers_of(counters: Counter[str], kind: str) -> dict[str, int]:
    return {name.removeprefix(f"{kind}|"): n for name, n in counters.items() if name.startswith(f"{kind}|")}


def test_a_run_from_start_to_end(tenant):
    told = Told.of(tenant)
    told.begin()
    told.node("ask", "completed", ms=200, tokens=1_000)
    told.node("item", "failed", ms=10, scope="each/0")
    told.pack(NodeRecord("sum", "", "completed", started_at=5, completed_at=5), NodeRecord("no", "", "skipped"))
    told.close("completed")
    told.tell()
    found = _counted(tenant)
    run = told.store.get(told.run.id)
    took = (run.completed_at or 0) - (run.started_at or 0)
    assert found == {
        "run|completed": 1,
        f"run_ms|{bucket(took)}": 1,
        "calls": 1,
        "node|completed|ask": 1,
        "node|ms|ask": 200,
        f"node|{bucket(200)}|ask": 1,
        "tokens|prompt_tokens|gpt-4o": 1_000,
        "tokens|total_tokens|gpt-4o": 1_000,
        "money|gpt-4o": 2_500_000,
        "money|": 2_500_000,
        "node|failed|item": 1,
        "node|in:each|item": 1,
        "node|ms|item": 10,
        "node_error|item|Boom": 1,
        "node|completed|sum": 1,
        "node|-1|sum": 1,
        "node|skipped|no": 1,
    }
    whole = _counted(tenant, analytics.TENANT)
    assert {n: v for n, v in found.items() if not n.startswith(("node", "run_ms"))} == whole
    assert UsageStore(TenantTable(tenant)).spent(day_of(now_ms())[:7]) == (1_000, 2_500_000)


def test_a_retried_run_counts_as_what_it_comes_to_and_all_its_tokens(tenant):
    told = Told.of(tenant)
    told.begin()
    told.node("ask", "failed", tokens=10)
    told.close("failed")
    told.tell()
    assert _numbers_of(_counted(tenant), "run") == {"failed": 1}
    assert _numbers_of(_counted(tenant), "error") == {"Boom": 1}
    told.reset("ask")
    told.retry()
    told.tell()
    assert _numbers_of(_counted(tenant), "run") == {"pending": 1}
    told.begin()
    told.node("ask", "completed", tokens=30)
    told.close("completed")
    told.tell()
    found = _counted(tenant)
    assert _numbers_of(found, "run") == {"completed": 1}
    assert _numbers_of(found, "error") == {}
    assert found["calls"] == 2
    assert (found["node|failed|ask"], found["node|completed|ask"]) == (1, 1)
    assert found["tokens|total_tokens|gpt-4o"] == 40


def test_a_deleted_run_stays_counted_and_is_not_counted_again(tenant):
    told = Told.of(tenant)
    told.begin()
    told.node("a", "completed")
    told.tell()
    told.close("completed")
    told.store.delete(told.run.id)
    told.tell()
    told.tell()
    told.tell(first=-1)
    assert _numbers_of(_counted(tenant), "run") == {"completed": 1}
    assert _counted(tenant)["node|completed|a"] == 1


def test_a_node_tried_by_itself_is_of_the_tenant_and_not_of_the_workflow(tenant):
    told = Told.of(tenant, triggered_by={"kind": "node", "id": "a", "user": None})
    told.begin()
    told.node("a", "completed", tokens=10)
    told.close("completed")
    told.tell()
    assert _counted(tenant) == {}
    assert _counted(tenant, analytics.TENANT)["tokens|total_tokens|gpt-4o"] == 10


def test_what_another_run_has_done_does_not_count(tenant):
    told = Told.of(tenant)
    told.pack(NodeRecord("a", "", "completed", origin="replayed"), NodeRecord("b", "", "completed"))
    told.tell()
    assert _counted(tenant) == {"node|completed|b": 1}


def test_the_tenants_own_prices_hold(tenant, other_tenant):
    from tests.shared.usage.allowing import allow

    allow(tenant, prices={"gpt-4o": "1,1"})
    for each in (tenant, other_tenant):
        told = Told.of(each)
        told.begin()
        told.node("a", "completed", tokens=1_000)
        told.tell()
    assert (_counted(tenant)["money|"], _counted(other_tenant)["money|"]) == (1_000_000, 2_500_000)


def test_many_runs_of_one_batch_are_written_together(tenant, monkeypatch):
    written: list[int] = []
    real = Dynamo.transact

    def transact(self, writes):
        written.append(len(writes))
        real(self, writes)

    monkeypatch.setattr(Dynamo, "transact", transact)
    runs = [Told.of(tenant) for _ in range(90)]
    for told in runs:
        told.begin()
    assert heard({(tenant, told.run.id): told.changes for told in runs}) == set()
    assert _numbers_of(_counted(tenant), "run") == {"running": 90}
    assert set(written) == {82, 12}  # marks, the workflow's counters, the tenant's; again where the two met


def test_what_could_not_be_counted_is_told_again(tenant, other_tenant, monkeypatch):
    mine, theirs = Told.of(tenant), Told.of(other_tenant)
    for told in (mine, theirs):
        told.begin()
    batch = {(t.tenant, t.run.id): t.changes for t in (mine, theirs)}
    real = CounterStore.add

    def busy(self, *arguments):
        if self._table.tenant == tenant:
            raise Unavailable("busy")
        real(self, *arguments)

    monkeypatch.setattr(CounterStore, "add", busy)
    assert heard(batch) == {(tenant, mine.run.id)}
    monkeypatch.setattr(CounterStore, "add", real)
    assert heard(batch) == set()
    assert _numbers_of(_counted(tenant), "run") == _numbers_of(_counted(other_tenant), "run") == {"running": 1}


def test_damaged_records_hold_up_nothing(tenant):
    told = Told.of(tenant)
    told.begin()
    for new in ({"status": "completed", "body": "{"}, {"pack": b"x"}, {"status": "completed", "body": '{"node":1}'}):
        told.changes.append(Change(str(next(numbers)), "INSERT", told.changes[0].pk, "J##N#a", 0, None, new))
    told.tell()
    assert _counted(tenant) == {"run|running": 1}


# --- as often as it comes, and in whatever pieces --------------------------------------------------------------------

_node = st.tuples(
    st.sampled_from("abc"),
    st.sampled_from(["completed", "failed", "skipped"]),
    st.integers(0, 5_000),
    st.integers(0, 50),
)
_attempt = st.lists(_node, max_size=4, unique_by=lambda node: node[0])
_history = st.tuples(_attempt, st.sampled_from(["completed", "failed", "cancelled", None]), st.booleans())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_history, min_size=1, max_size=3), st.integers(0, 2**32))
def test_counters_are_those_of_a_recount(tenant, histories, seed):
    workflow_id, chance = new_id("wf"), random.Random(seed)
    before = _counted(tenant, analytics.TENANT)["tokens|total_tokens|gpt-4o"]
    runs = [_lived(tenant, workflow_id, *history) for history in histories]
    frontier = dict.fromkeys(range(len(runs)), 0)
    while any(frontier[i] < len(told.changes) for i, told in enumerate(runs)):
        batch = {}
        for i in chance.sample(range(len(runs)), len(runs)):
            told, reached = runs[i], frontier[i]
            first = chance.randint(max(0, reached - 3), reached)
            last = chance.randint(first, min(len(told.changes), first + 5))
            if last > first:
                batch[tenant, told.run.id] = told.changes[first:last]
                frontier[i] = max(reached, last)
        assert heard(batch) == set()
    found, wanted = _counted(tenant, analytics.workflow(workflow_id)), _recount(runs)
    assert {n: v for n, v in found.items() if n in wanted or n.startswith(("run|", "node|", "tokens"))} == wanted
    tokens = "tokens|total_tokens|gpt-4o"
    assert _counted(tenant, analytics.TENANT)[tokens] - before == found[tokens]


def _lived(tenant: Tenant, workflow_id: str, nodes: Any, end: Any, retried: bool) -> Told:
    told = Told.of(tenant, workflow_id=workflow_id)
    told.begin()
    for node in nodes:
        told.node(*node)
    if end is not None:
        told.close(end)
    if retried and end in ("failed", "cancelled"):
        told.retry()
        told.begin()
        told.node("after", "completed", 7, 3)
    return told


def _recount(runs: list[Told]) -> Counter[str]:
    """From the runs as they are now, and from their journals."""
    found: Counter[str] = Counter()
    for told in runs:
        found[f"run|{told.store.get(told.run.id).status}"] += 1
        for item in told.store.journal(told.run.id, "J#"):
            record = NodeRecord.from_dict(json.loads(item["body"]))
            found[f"node|{record.status}|{record.node}"] += 1
            if record.status != "skipped":
                ms = (record.completed_at or 0) - (record.started_at or 0)
                found[f"node|ms|{record.node}"] += ms
                found[f"node|{bucket(ms)}|{record.node}"] += record.status == "completed"
            for kind in ("prompt_tokens", "total_tokens"):
                found[f"tokens|{kind}|gpt-4o"] += record.usage.get(kind, 0)
    return Counter({name: n for name, n in found.items() if n})
