"""Places for runs: as many as there are, taken once and given back once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.clock import parse
from shared.errors import RateLimited
from shared.store.table import TenantTable
from shared.usage import service
from shared.usage.model import BadOverride, Quotas, Terms, in_nano, stored, terms_of, with_price, with_quota
from shared.usage.store import UsageStore
from tests.shared.usage.allowing import allow


def _open(tenant, workflow_id: str = "") -> set[str]:
    return set(UsageStore(TenantTable(tenant)).runs(workflow_id).get("open", ()))


def _used(tenant, name: str) -> float | None:
    return {row["name"]: row["used"] for row in service.overview(tenant)}[name]


def _take(tenant, execution_id: str, **how) -> bool:
    try:
        service.reserve(tenant, execution_id, "wf_1", **{"child": False, **how})
    except RateLimited:
        return False
    return True


def test_fifty_at_once_and_ten_places(tenant):
    allow(tenant, concurrent_runs=10)
    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(lambda n: _take(tenant, f"ex_{n}"), range(50)))
    assert taken.count(True) == 10
    assert len(_open(tenant)) == 10
    assert _used(tenant, "runs_per_day") == 10


def test_fifty_at_once_for_ten_places_of_a_workflow(tenant):
    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(lambda n: _take(tenant, f"ex_{n}", most=10), range(50)))
    assert taken.count(True) == 10
    assert _open(tenant) == _open(tenant, "wf_1")
    assert _used(tenant, "concurrent_runs") == _used(tenant, "runs_per_day") == 10


def test_taking_and_giving_back_twice_is_once(tenant):
    allow(tenant, concurrent_runs=2)
    for execution_id in ("ex_1", "ex_1", "ex_2", "ex_2"):
        assert _take(tenant, execution_id)
    assert not _take(tenant, "ex_3")
    for _ in range(2):
        service.release(tenant, "ex_1", None)
    assert _take(tenant, "ex_3")
    assert not _take(tenant, "ex_4")
    assert _used(tenant, "runs_per_day") == 3


def test_a_full_workflow_takes_nothing_of_the_tenants(tenant):
    assert _take(tenant, "ex_1", most=1)
    assert not _take(tenant, "ex_2", most=1)
    assert _open(tenant) == {"ex_1"}
    assert _used(tenant, "runs_per_month") == 1


def test_a_full_tenant_takes_nothing_of_the_workflows(tenant):
    allow(tenant, concurrent_runs=1)
    assert _take(tenant, "ex_1")
    assert not _take(tenant, "ex_2", most=5)
    assert _open(tenant, "wf_1") == set()


def test_a_child_is_in_its_parents_place_and_counts_as_a_run(tenant):
    allow(tenant, concurrent_runs=1, runs_per_day=2)
    assert _take(tenant, "ex_1")
    assert _take(tenant, "ex_child", child=True)
    assert not _take(tenant, "ex_other", child=True)  # over the runs of a day
    assert _open(tenant) == {"ex_1"}


def test_a_retry_takes_a_place_and_counts_no_more(tenant):
    allow(tenant, runs_per_day=1)
    assert _take(tenant, "ex_1")
    service.release(tenant, "ex_1", None)
    assert _take(tenant, "ex_1", again=True)
    assert _open(tenant) == {"ex_1"}
    assert _used(tenant, "runs_per_day") == 1


def test_what_did_not_come_to_be_does_not_count(tenant):
    assert _take(tenant, "ex_1", most=1)
    for _ in range(2):
        service.release(tenant, "ex_1", "wf_1", unused=True)
    assert _used(tenant, "runs_per_day") == _used(tenant, "runs_per_month") == 0
    assert _open(tenant, "wf_1") == set()


@pytest.mark.parametrize("name", ["concurrent_runs", "runs_per_day", "runs_per_month"])
@pytest.mark.parametrize("most", [0, 1])
def test_who_is_over_a_quota_is_told_which_and_when_to_come_again(tenant, name, most):
    allow(tenant, **{name: most})
    for n in range(most):
        assert _take(tenant, f"ex_{n}")
    with pytest.raises(RateLimited, match=name) as caught:
        service.reserve(tenant, "ex_more", "wf_1", child=False)
    assert caught.value.code == "quota_exceeded"
    longest = {"concurrent_runs": 5, "runs_per_day": 86_400, "runs_per_month": 31 * 86_400}[name]
    assert 1 <= caught.value.retry_after <= longest


def test_days_and_months_start_anew(tenant, monkeypatch):
    allow(tenant, runs_per_day=1, runs_per_month=2)
    moments = [("2026-01-30T23:59:59Z", True), ("2026-01-30T23:59:59.9Z", False), ("2026-01-31T00:00:00Z", True)]
    moments += [("2026-01-31T23:00:00Z", False), ("2026-02-01T00:00:00Z", True)]
    for number, (moment, taken) in enumerate(moments):
        monkeypatch.setattr(service, "now_ms", lambda moment=moment: parse(moment))
        assert _take(tenant, f"ex_{number}") is taken, moment


@pytest.mark.parametrize(
    ("now", "day", "month"),
    [
        ("2026-01-31T10:00:00Z", "2026-02-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("2028-02-29T23:59:59.999Z", "2028-03-01T00:00:00Z", "2028-03-01T00:00:00Z"),
    ],
)
def test_when_a_period_is_over(now, day, month):
    assert service.resets(parse(now), "day") == parse(day)
    assert service.resets(parse(now), "month") == parse(month)


def test_tenants_do_not_share_places(tenant, other_tenant):
    allow(tenant, concurrent_runs=1)
    assert _take(tenant, "ex_1")
    assert _take(other_tenant, "ex_1")
    assert _used(other_tenant, "concurrent_runs") == 1


def test_terms_are_stored_as_what_is_not_the_default():
    terms = with_price(with_quota(Terms(), "runs_per_day", "7"), "house-model", "1.5,6")
    assert terms_of(stored(terms)) == terms
    assert stored(terms) == '{"quotas": {"runs_per_day": 7}, "prices": {"house-model": [1.5, 6.0]}}'
    assert with_price(with_quota(terms, "runs_per_day", None), "house-model", None) == Terms()
    assert terms_of(None) == Terms()
    assert terms.quotas == replace(Quotas(), runs_per_day=7)


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "nan", "1e400", "1" * 30])
def test_bad_quotas_are_refused(value):
    with pytest.raises(BadOverride):
        with_quota(Terms(), "runs_per_day", value)


@pytest.mark.parametrize("value", ["inf", "nan", "-0.5", "a"])
def test_bad_money_is_refused(value):
    with pytest.raises(BadOverride):
        with_quota(Terms(), "money_usd_per_month", value)


def test_bounds_and_names():
    with pytest.raises(BadOverride, match="at most"):
        with_quota(Terms(), "concurrent_runs", "10001")
    with pytest.raises(BadOverride, match="no quota"):
        with_quota(Terms(), "rate_limit", "1")


@pytest.mark.parametrize("price", ["", "1", "1,2,3", "a,b", "-1,2", "nan,1"])
def test_bad_prices_are_refused(price):
    with pytest.raises(BadOverride):
        with_price(Terms(), "m", price)


@pytest.mark.parametrize(
    ("tokens", "money", "kept"),
    [
        (None, None, {}),
        (5, None, {"tokens": 5}),
        (None, 0.25, {"nano": 250_000_000}),
        (1, 1e-12, {"tokens": 1, "nano": 1}),
    ],
)
def test_a_budget_as_it_is_kept(tokens, money, kept):
    assert in_nano(tokens, money) == kept
