"""A tenant writes so much into its cache within an hour, and no more."""

from __future__ import annotations

import pytest

from shared import limits
from shared.cache.store import CacheStore
from shared.clock import now_ms
from shared.errors import RateLimited
from shared.nodes.base import NodeError
from shared.store.table import TenantTable
from tests.shared.nodes.calls import Outside, execute


@pytest.fixture
def cache(tenant, monkeypatch) -> CacheStore:
    monkeypatch.setattr(limits, "CACHE_KB_AN_HOUR", 500)
    monkeypatch.setattr(limits, "_CACHE_CHUNK_KB", 10)
    at = now_ms() // 3_600_000 * 3_600_000 + 60_000
    monkeypatch.setattr(limits, "now_ms", lambda: at)
    return CacheStore(TenantTable(tenant))


def fill(cache: CacheStore, size: int) -> int:
    """How many values of that size fit in."""
    written: list[int] = []

    def write() -> None:
        for n in range(1_000):
            cache.set(f"k{n}", "x" * (size - 2))
            written.append(n)

    with pytest.raises(RateLimited) as caught:
        write()
    assert (caught.value.code, caught.value.retry_after) == ("quota_exceeded", 3_540)
    return len(written)


@pytest.mark.parametrize(("size", "fit"), [(100_000, 5), (1_000, 500), (7_000, 71), (1, 500)])
def test_values_count_by_their_bytes(cache, size, fit):
    assert fill(cache, max(size, 3)) == fit


def test_reading_costs_nothing_and_another_hour_is_another_budget(cache, monkeypatch):
    fill(cache, 100_000)
    assert cache.get("k0") is not None
    later = limits.now_ms() + 3_600_000
    monkeypatch.setattr(limits, "now_ms", lambda: later)
    cache.set("k", "x" * 100_000)


def test_one_tenant_does_not_use_up_anothers(cache, other_tenant):
    fill(cache, 100_000)
    CacheStore(TenantTable(other_tenant)).set("k", "x" * 100_000)


def test_processes_share_it(cache):
    for _ in range(5):
        limits.forget()
        cache.set("k", "x" * 49_998)
    limits.forget()
    assert fill(cache, 50_000) == 5  # of ten


def test_a_node_is_told_when_to_try_again(cache):
    fill(cache, 100_000)
    with pytest.raises(NodeError) as caught:
        execute("cache_set", {}, {"key": "k", "value": "x" * 100_000}, world=Outside(cache=cache))
    assert (caught.value.error, caught.value.retryable) == ("QuotaExceeded", True)
    assert caught.value.retry_after == 3_540
