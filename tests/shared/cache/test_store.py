import json
from typing import Any

import pytest

from shared import clock
from shared.aws.clients import client
from shared.cache import rules, store
from shared.cache.store import CacheStore, Hit
from shared.errors import Invalid, TooLarge
from shared.settings import settings
from shared.store.table import TenantTable


@pytest.fixture
def cache(tenant) -> CacheStore:
    return CacheStore(TenantTable(tenant))


@pytest.fixture
def later(monkeypatch):
    """Puts the cache's clock forward by so many milliseconds; DynamoDB has removed nothing yet."""
    began = clock.now_ms()

    def go(ms: int) -> None:
        monkeypatch.setattr(store, "now_ms", lambda: began + ms)

    go(0)
    return go


@pytest.mark.parametrize(
    "value", [None, False, 0, 0.1, 1e300, 2**70, "", "é\n\0", [], {}, {"a": [1, None, {"b": "x"}]}]
)
def test_a_value_comes_back_as_it_was(cache, value: Any):
    cache.set("k", value)
    found = cache.get("k")
    assert found == Hit(value)
    assert type(found.value) is type(value)


def test_the_last_write_holds_and_twice_is_once(cache):
    assert cache.get("k") is None
    cache.set("k", 1)
    cache.set("k", 2)
    cache.set("k", 2)
    assert cache.get("k") == Hit(2)


def test_keys_are_told_apart_to_the_letter(cache):
    keys = ["k", "K", "k ", "é", "e\u0301", "k#1", "k/1", "\0", "x" * 1_024, "x" * 1_023 + "y"]
    for number, key in enumerate(keys):
        cache.set(key, number)
    assert [cache.get(key) for key in keys] == [Hit(n) for n in range(len(keys))]


@pytest.mark.parametrize(("ttl", "ms"), [(None, 3_600_000), (1, 1_000), (1.5, 1_500), (2_592_000, 2_592_000_000)])
def test_an_expired_value_is_a_miss_though_it_is_still_there(cache, later, ttl, ms: int):
    cache.set("k", "v", ttl)
    later(ms - 1)
    assert cache.get("k") == Hit("v")
    later(ms)
    assert cache.get("k") is None
    assert [i for i in client("dynamodb").scan(TableName=settings().table)["Items"] if "CACHE#" in i["PK"]["S"]]
    cache.set("k", "new", 1)
    assert cache.get("k") == Hit("new")


def test_dynamodb_is_told_when_to_remove_it_and_not_before_it_expires(cache, later):
    cache.set("k", "v", 1.5)
    [item] = [i for i in client("dynamodb").scan(TableName=settings().table)["Items"] if "CACHE#" in i["PK"]["S"]]
    expires_at, ttl = int(item["expires_at"]["N"]), int(item["ttl"]["N"])
    assert expires_at <= ttl * 1000 < expires_at + 1000


@pytest.mark.parametrize("key", ["", None, 5, ["k"], {"k": 1}, True, "x" * 1_025, "é" * 513, "\ud800"])
def test_a_bad_key_is_refused(cache, key: Any):
    for call in (lambda: cache.get(key), lambda: cache.set(key, 1)):
        with pytest.raises(Invalid) as caught:
            call()
        assert caught.value.code == "bad_key"


@pytest.mark.parametrize("ttl", [0, 0.999, -1, 2_592_001, float("inf"), float("nan"), True, "60", [60]])
def test_a_bad_ttl_is_refused(cache, ttl: Any):
    with pytest.raises(Invalid) as caught:
        cache.set("k", 1, ttl)
    assert (caught.value.code, cache.get("k")) == ("bad_ttl", None)


@pytest.mark.parametrize("value", [float("nan"), b"x", {1, 2}, "\ud800", {"a": object()}])
def test_what_is_not_json_is_refused(cache, value: Any):
    with pytest.raises(Invalid) as caught:
        cache.set("k", value)
    assert (caught.value.code, cache.get("k")) == ("bad_value", None)


def test_the_largest_value_fits_and_a_byte_more_is_refused_and_the_old_one_stays(cache):
    largest = "é" * 131_071  # and two quotation marks
    assert len(json.dumps(largest, ensure_ascii=False).encode()) == rules.MAX_VALUE_BYTES
    cache.set("k" * 1_024, largest)
    with pytest.raises(TooLarge, match="262,144 bytes as JSON; this has 262,145"):
        cache.set("k" * 1_024, largest + "x")
    assert cache.get("k" * 1_024) == Hit(largest)


def test_another_tenant_has_another_cache(cache, other_tenant):
    theirs = CacheStore(TenantTable(other_tenant))
    cache.set("k", "mine")
    assert theirs.get("k") is None
    theirs.set("k", "theirs")
    assert (cache.get("k"), theirs.get("k")) == (Hit("mine"), Hit("theirs"))
