"""Counters: told twice they count once, and of many writers at once all count."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.analytics import service, store
from shared.analytics.service import day_of, days
from shared.analytics.store import Counted, CounterStore, Mark
from shared.aws.dynamo import Dynamo
from shared.errors import Unavailable
from shared.store import turns
from shared.store.table import TenantTable

DAY = "2026-01-31"


def count(tenant, subject, day, amounts, *, mark):
    """Add to the counters of a day; False if it was told before."""
    try:
        CounterStore(TenantTable(tenant)).add({(subject, day): amounts}, [Mark(mark)])
    except Counted:
        return False
    return True


def test_a_mark_counts_once(tenant):
    assert count(tenant, "GUIDED#a", DAY, {"started": 1}, mark="a 1 started")
    assert not count(tenant, "GUIDED#a", DAY, {"started": 1}, mark="a 1 started")
    assert count(tenant, "GUIDED#a", DAY, {"started": 1, "dropped": -1}, mark="a 2 started")
    assert days(tenant, "GUIDED#a", DAY, DAY) == {DAY: {"started": 2, "dropped": -1}}


def test_subjects_days_and_tenants_are_apart(tenant, other_tenant):
    count(tenant, "GUIDED#a", DAY, {"n": 1}, mark="1")
    count(tenant, "GUIDED#ab", DAY, {"n": 2}, mark="2")
    count(tenant, "GUIDED#a", "2026-02-01", {"n": 4}, mark="3")
    count(other_tenant, "GUIDED#a", DAY, {"n": 8}, mark="1")
    assert days(tenant, "GUIDED#a", DAY, DAY) == {DAY: {"n": 1}}
    assert days(tenant, "GUIDED#a", "2026-01-01", "2026-12-31") == {DAY: {"n": 1}, "2026-02-01": {"n": 4}}
    assert days(tenant, "GUIDED#a", "2026-02-02", "2026-12-31") == {}
    assert days(other_tenant, "GUIDED#a", DAY, DAY) == {DAY: {"n": 8}}


def test_many_writers_at_once_all_count(tenant):
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda n: count(tenant, "X", DAY, {"n": 1}, mark=f"m {n % 30}"), range(60)))
    assert done.count(True) == 30
    assert days(tenant, "X", DAY, DAY) == {DAY: {"n": 30}}


def test_lanes_are_added_up(tenant, monkeypatch):
    for lane in range(4):
        monkeypatch.setattr(store, "_lane", lane)
        count(tenant, "X", DAY, {"n": 1, f"only {lane}": 1}, mark=f"lane {lane}")
    assert days(tenant, "X", DAY, DAY)[DAY]["n"] == 4
    assert len(days(tenant, "X", DAY, DAY)[DAY]) == 5


def test_what_goes_to_zero_is_gone(tenant):
    count(tenant, "X", DAY, {"n": 1, "m": 1}, mark="1")
    count(tenant, "X", DAY, {"n": -1}, mark="2")
    assert days(tenant, "X", DAY, DAY) == {DAY: {"m": 1}}


def test_all_of_it_or_nothing(tenant, monkeypatch):
    counters = CounterStore(TenantTable(tenant))
    counters.add({("X", DAY): {"n": 1}}, [Mark("run", "1", "5")])
    with pytest.raises(Counted):
        counters.add({("X", DAY): {"n": 1}, ("Y", DAY): {"n": 1}}, [Mark("new", "1", "1"), Mark("run", "5", "9")])
    assert counters.upto(["run", "new"]) == {"run": "5"}
    assert counters.days("Y", DAY, DAY) == {}

    def throttled(self, writes):
        raise Unavailable("busy")

    monkeypatch.setattr(Dynamo, "transact", throttled)
    monkeypatch.setattr(turns, "_PAUSE_S", 0)
    with pytest.raises(Unavailable):
        counters.add({("X", DAY): {"n": 1}}, [Mark("run", "6", "9")])
    monkeypatch.undo()
    assert counters.days("X", DAY, DAY) == {DAY: {"n": 1}}


def test_an_item_does_not_grow_for_ever(tenant, monkeypatch):
    monkeypatch.setattr(store, "_MOST_NAMES", 3)
    count(tenant, "X", DAY, {f"n{i}": 1 for i in range(5)}, mark="1")
    count(tenant, "X", DAY, {"n0": 1, "n9": 1}, mark="2")
    assert days(tenant, "X", DAY, DAY) == {DAY: {"n0": 2, "n1": 1, "n2": 1}}


def test_names_that_a_workflow_makes_up_do_not_fill_an_item(tenant):
    """Long names that all differ: an item that no longer fits would hold up everything behind it in the stream."""
    count(tenant, "X", DAY, {"run|failed": 1}, mark="first")
    for batch in range(4):
        made_up = {f"error|{secrets.token_hex(50)}": 1 for _ in range(2_000)}
        count(tenant, "X", DAY, {"run|failed": 1, **made_up}, mark=f"batch {batch}")
    found = days(tenant, "X", DAY, DAY)[DAY]
    assert found["run|failed"] == 5
    assert 2_000 < len(found) < 8_000


def test_a_day_is_that_of_utc():
    assert day_of(1_767_225_599_999) == "2025-12-31"
    assert day_of(1_767_225_600_000) == "2026-01-01"
    assert service.workflow("wf_1") == "WF#wf_1"
