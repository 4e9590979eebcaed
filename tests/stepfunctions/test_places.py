"""Starting runs under quotas: a place first, the run second; who has none is told, or written down."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.errors import RateLimited
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.usage import service as usage
from shared.usage.store import UsageStore
from stepfunctions import control, start
from stepfunctions.published import Published
from tests.shared.usage.allowing import allow
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.told_runs import sweep_places

PUBLISHED = Published("wf_test", 1, "0" * 64, "nowhere", (), 60, ())
CAPPED = replace(PUBLISHED, max_concurrency=10)


def _start(tenant, published=PUBLISHED, kind="manual", execution_id=None, **how):
    by = {"kind": kind, "id": None, "user": None}
    return start.start(
        tenant, published, trigger_node=None, trigger_data=None, triggered_by=by, execution_id=execution_id, **how
    )


def _open(tenant, workflow_id="") -> set[str]:
    return set(UsageStore(TenantTable(tenant)).runs(workflow_id).get("open", ()))


def _counted(tenant) -> float | None:
    return {row["name"]: row["used"] for row in usage.overview(tenant)}["runs_per_day"]


@pytest.mark.parametrize("published", [PUBLISHED, CAPPED], ids=["the tenant's", "the workflow's"])
def test_of_fifty_starts_at_once_ten_have_a_place(tenant, published):
    if published is PUBLISHED:
        allow(tenant, concurrent_runs=10)

    def one(_: int):
        try:
            return _start(tenant, published).id
        except RateLimited:
            return None

    with ThreadPoolExecutor(16) as pool:
        started = [run for run in pool.map(one, range(50)) if run is not None]
    assert len(started) == 10
    assert _open(tenant) == set(started)
    assert {run.capped for run in map(RunStore(TenantTable(tenant)).get, started)} == {published is CAPPED}
    assert _counted(tenant) == 10


@pytest.mark.parametrize("kind", ["manual", "webhook", "chat"])
def test_who_asks_is_told_and_nothing_is_written(tenant, kind):
    allow(tenant, concurrent_runs=0)
    with pytest.raises(RateLimited, match="concurrent_runs") as caught:
        _start(tenant, kind=kind, execution_id="ex_1")
    assert caught.value.code == "quota_exceeded"
    allow(tenant, concurrent_runs=1)
    assert _start(tenant, kind=kind, execution_id="ex_1").status == "pending"  # the same delivery, sent again


@pytest.mark.parametrize("kind", ["schedule", "event", "file"])
def test_what_nobody_asks_for_is_written_down_as_failed(tenant, kind):
    allow(tenant, runs_per_day=0)
    run = _start(tenant, kind=kind, execution_id="ex_1")
    assert (run.status, run.error["error"]) == ("failed", "QuotaExceeded")
    assert "runs_per_day" in run.error["message"]
    allow(tenant, runs_per_day=5)
    assert _start(tenant, kind=kind, execution_id="ex_1") == run
    assert _open(tenant) == set()


def test_starting_it_again_takes_one_place(tenant):
    for _ in range(3):
        _start(tenant, CAPPED, execution_id="ex_1")
    assert _open(tenant) == _open(tenant, "wf_test") == {"ex_1"}
    assert _counted(tenant) == 1


def test_a_run_that_was_over_before_it_could_be_written_again_leaves_no_place(tenant, monkeypatch):
    reserve = usage.reserve

    def overtaken(*args, **given):  # another caller comes between this one's look and its write
        monkeypatch.setattr(usage, "reserve", reserve)
        first = _start(tenant, CAPPED, execution_id="ex_1")
        RunStore(TenantTable(tenant)).close(first.id, "completed")
        usage.release(tenant, first.id, "wf_test")
        return reserve(*args, **given)

    monkeypatch.setattr(usage, "reserve", overtaken)
    assert _start(tenant, CAPPED, execution_id="ex_1").status == "completed"
    assert _open(tenant) == _open(tenant, "wf_test") == set()
    assert _counted(tenant) == 1


def test_a_caller_that_dies_between_place_and_run_leaves_a_place_that_comes_back(tenant, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    monkeypatch.setattr(start, "create", killed)
    with pytest.raises(Killed):
        _start(tenant, CAPPED, execution_id="ex_1")
    assert _open(tenant) == {"ex_1"}
    for _ in range(2):
        sweep_places(tenant)
    assert _open(tenant) == _open(tenant, "wf_test") == set()


def test_a_retry_needs_a_place(machines, http, tenant):
    failing = document(
        [node("start", "manual_trigger"), node("get", "http_request", inputs={"url": f"{http.base}/status/500"})],
        "start.trigger -> get.body",
        settings={"max_concurrency": 1},
    )
    run = machines.start(failing)
    machines.until(run)
    usage.release(tenant, run.id, run.workflow_id)  # the stream does so
    usage.reserve(tenant, "ex_other", run.workflow_id, most=1, child=False)
    with pytest.raises(RateLimited, match="max_concurrency"):
        control.retry(tenant, run.id)
    assert machines.store.get(run.id).status == "failed"
    usage.release(tenant, "ex_other", run.workflow_id)
    control.retry(tenant, run.id)
    assert machines.until(run).attempt == 1
    assert run.id in _open(tenant, run.workflow_id)


def test_a_child_without_a_place_is_its_nodes_failure(machines, events, publish, tenant):
    child = document([node("start", "manual_trigger"), node("out", "output")], settings={"max_concurrency": 1})
    child_id = publish(child, "wf_child")
    usage.reserve(tenant, "ex_other", child_id, most=1, child=False)
    parent = document(
        [
            node("start", "manual_trigger"),
            node("run", "sub_workflow", {"workflow_id": child_id}, on_error="branch"),
            node("out", "output"),
        ],
        "start.trigger -> run.input; run.error -> out.value",
    )
    run = machines.until(machines.start(parent))
    assert machines.value(run.final_output)["error"] == "QuotaExceeded"
    assert _open(tenant) == {"ex_other", run.id}
