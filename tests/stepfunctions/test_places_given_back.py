"""Places of runs come back: when the stream tells of an end, and when the sweeper finds one without a run."""

from __future__ import annotations

import pytest

from shared.analytics.service import day_of
from shared.clock import now_ms
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.usage import service as usage
from shared.usage.store import UsageStore
from stepfunctions import metering, reconcile
from tests.shared.tasks.asking import a_run
from tests.stepfunctions.told_runs import Told, sweep_places


def _open(tenant: Tenant, workflow_id: str = "") -> set[str]:
    return set(UsageStore(TenantTable(tenant)).runs(workflow_id).get("open", ()))


def test_a_run_that_has_ended_gives_its_places_back(tenant):
    told = Told.of(tenant, capped=True)
    usage.reserve(tenant, told.run.id, "wf_counted", most=3, child=False)
    told.begin()
    told.tell()
    assert _open(tenant) == _open(tenant, "wf_counted") == {told.run.id}
    told.close("cancelled")
    for _ in range(2):
        told.tell()
        assert _open(tenant) == _open(tenant, "wf_counted") == set()


def test_an_end_that_is_told_late_takes_no_place_from_a_retried_run(tenant):
    told = Told.of(tenant)
    usage.reserve(tenant, told.run.id, "wf_counted", child=False)
    told.begin()
    told.close("failed")
    usage.reserve(tenant, told.run.id, "wf_counted", again=True, child=False)
    told.retry()
    told.tell(last=2)  # only up to the end
    assert _open(tenant) == {told.run.id}
    told.tell()
    assert _open(tenant) == {told.run.id}
    told.begin()
    told.close("completed")
    told.tell(first=2)
    assert _open(tenant) == set()


def test_a_place_without_a_run_comes_back(tenant):
    """Whoever took it died before the run was written down."""
    told = Told.of(tenant)
    for execution_id in (told.run.id, "ex_never"):
        usage.reserve(tenant, execution_id, "wf_counted", most=5, child=False)
    assert sweep_places(tenant) == {"places": 2}
    assert _open(tenant) == {told.run.id, "ex_never"}  # its run may be about to come
    assert sweep_places(tenant) == {"places_given_back": 2}
    assert _open(tenant) == _open(tenant, "wf_counted") == {told.run.id}


def test_a_run_that_comes_between_two_looks_keeps_its_place(tenant):
    usage.reserve(tenant, "ex_late", "wf_counted", child=False)
    sweep_places(tenant)
    a_run(tenant, id="ex_late")
    sweep_places(tenant)
    assert _open(tenant) == {"ex_late"}


def test_the_sweeper_looks_only_where_runs_are_open_and_forgets_old_days(tenant):
    usage.reserve(tenant, "ex_1", "wf_counted", child=False)
    table = TenantTable(tenant)
    item = UsageStore(table).runs()
    table.put(table.keys.open_runs(), item | {"day|2020-01-01": 5, "month|2020-01": 9})
    for _ in range(2):
        sweep_places(tenant)
    left = UsageStore(table).runs()
    assert "open" not in left
    assert "GSI2PK" not in left
    assert {n for n in left if "|" in n} == {f"day|{day_of(now_ms())}", f"month|{day_of(now_ms())[:7]}"}
    assert sweep_places(tenant) == {}
    usage.reserve(tenant, "ex_2", "wf_counted", child=False)
    assert sweep_places(tenant) == {"places": 1}


def test_trouble_with_places_does_not_stand_in_the_way(tenant, monkeypatch):
    usage.reserve(tenant, "ex_1", "wf_counted", child=False)
    monkeypatch.setattr(metering, "_is_open", lambda *_: 1 / 0)
    assert sweep_places(tenant) == {"trouble": 1}
    assert reconcile.sweep(lambda: 60.0) == {}  # its next look is later


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_run_nobody_reserved_for_ends_as_well(tenant, status):
    told = Told.of(tenant)
    told.begin()
    told.close(status)
    told.tell()
    assert _open(tenant) == set()
