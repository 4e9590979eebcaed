import boto3
import pytest

from shared import limits
from shared.errors import RateLimited
from shared.settings import settings
from shared.store.table import TenantTable
from shared.tenancy import new_tenant
from tests.shared.usage.allowing import allow

START = 1_800_000_000_000  # the start of a window, of ten seconds and of an hour


@pytest.fixture
def at(aws, monkeypatch):
    """Sets the time, in seconds after START."""

    def set_to(seconds: float) -> None:
        monkeypatch.setattr(limits, "now_ms", lambda: START + int(seconds * 1000))

    set_to(0)
    return set_to


def _tenant(rate: int | None = None) -> TenantTable:
    table = TenantTable(new_tenant())
    table.put(table.keys.tenant_meta(), {})
    if rate is not None:
        allow(table.tenant, requests_per_second=rate)
    return table


def _count_until_refused(tenant, most: int) -> int:
    for n in range(most):
        try:
            limits.count_request(tenant)
        except RateLimited:
            return n
    return most


def test_a_tenant_gets_its_rate_and_then_has_to_wait_for_the_next_window(at):
    tenant = _tenant(rate=2).tenant
    at(3)
    assert _count_until_refused(tenant, 100) == 20
    with pytest.raises(RateLimited) as refused:
        limits.count_request(tenant)
    assert refused.value.retry_after == 7
    at(10)
    limits.count_request(tenant)


def test_the_default_is_a_hundred_a_second(at):
    assert _count_until_refused(_tenant().tenant, 5000) == 1000


def test_one_tenant_does_not_use_up_anothers(at):
    busy, quiet = _tenant(rate=1).tenant, _tenant(rate=1).tenant
    assert _count_until_refused(busy, 100) == 10
    limits.count_request(quiet)


def test_processes_share_a_budget_and_lose_at_most_a_chunk(at):
    tenant = _tenant(rate=50).tenant  # 500 a window, reserved in chunks of 5
    passed = 0
    while True:
        limits.forget()  # another process
        here = _count_until_refused(tenant, 3)
        passed += here
        if here < 3:
            break
    assert passed == 300


def test_most_requests_cost_no_write(at):
    table = _tenant()
    for _ in range(25):
        limits.count_request(table.tenant)
    item = table.get(table.keys.rate(START // 10_000))
    assert item["count"] == 30  # three writes of ten
    assert item["ttl"] > START // 1000


def test_sign_ups_are_limited_by_address(at, monkeypatch):
    for _ in range(20):
        limits.count_sign_up("192.0.2.1")
    with pytest.raises(RateLimited) as refused:
        limits.count_sign_up("192.0.2.1")
    assert refused.value.retry_after == 3600
    limits.count_sign_up("192.0.2.2")
    limits.count_log_in("192.0.2.1")
    monkeypatch.setenv("SW_SIGNUPS_PER_HOUR", "22")
    settings.cache_clear()
    limits.forget()
    limits.count_sign_up("192.0.2.1")
    with pytest.raises(RateLimited):
        limits.count_sign_up("192.0.2.1")


def test_no_address_is_stored(at, aws):
    limits.count_sign_up("192.0.2.1")
    items = boto3.client("dynamodb").scan(TableName=aws["SW_TABLE"])["Items"]
    assert len(items) == 1
    assert "192.0.2.1" not in str(items)
