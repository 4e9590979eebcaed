"""`cache_set` and `cache_get`, over the real store."""

from __future__ import annotations

from typing import Any

import pytest

from shared.cache.store import CacheStore
from shared.nodes.base import NodeError
from shared.store.table import TenantTable
from tests.shared.nodes.calls import Outside, execute
from tests.stepfunctions.engine.faults import Strike, Wire, throttled, unavailable


@pytest.fixture
def world(tenant) -> Outside:
    return Outside(cache=CacheStore(TenantTable(tenant)))


def get(world: Outside, key: Any = "k") -> dict[str, Any]:
    return execute("cache_get", {}, {"key": key}, world=world)


def put(world: Outside, **inputs: Any) -> dict[str, Any]:
    return execute("cache_set", {}, {"key": "k", "value": 1, **inputs}, world=world)


@pytest.mark.parametrize("value", [None, 0, "text", {"USD": 1.08}, [1, [2]]])
@pytest.mark.parametrize("ttl", [{}, {"ttl": None}, {"ttl": 60}])
def test_what_is_set_is_got(world: Outside, value: Any, ttl: dict[str, Any]) -> None:
    assert get(world) == {"value": None, "hit": False}
    assert put(world, value=value, **ttl) == {"success": True}
    assert put(world, value=value, **ttl) == {"success": True}
    assert get(world) == {"value": value, "hit": True}


@pytest.mark.parametrize(
    ("inputs", "error", "said"),
    [
        ({"key": ""}, "InvalidInput", "key"),
        ({"key": 5}, "InvalidInput", "key"),
        ({"key": None}, "InvalidInput", "key"),
        ({"key": "x" * 1_025}, "InvalidInput", "1,024 bytes"),
        ({"ttl": 0}, "InvalidInput", "2,592,000"),
        ({"ttl": "60"}, "InvalidInput", "ttl"),
        ({"ttl": True}, "InvalidInput", "ttl"),
        ({"value": "secret" * 50_000}, "TooLarge", "262,144 bytes"),
        ({"value": float("nan")}, "InvalidInput", "JSON"),
    ],
)
def test_bad_input_fails_at_once_and_changes_nothing(world: Outside, inputs: dict[str, Any], error: str, said: str):
    with pytest.raises(NodeError) as caught:
        put(world, **inputs)
    assert (caught.value.error, caught.value.retryable) == (error, False)
    assert said in caught.value.message
    assert "secret" not in caught.value.message
    assert get(world)["hit"] is False


@pytest.mark.parametrize("key", ["", 5, None, [], "x" * 1_025])
def test_a_bad_key_is_no_miss(world: Outside, key: Any) -> None:
    with pytest.raises(NodeError) as caught:
        get(world, key)
    assert (caught.value.error, caught.value.retryable) == ("InvalidInput", False)


@pytest.mark.parametrize("error", [throttled, unavailable])
def test_a_table_that_is_busy_is_worth_another_attempt(world: Outside, monkeypatch: pytest.MonkeyPatch, error: Any):
    put(world, value="v")
    wire = Wire(monkeypatch)
    for call in (get, put):
        wire.reset(Strike(0, "before", error))
        with pytest.raises(NodeError) as caught:
            call(world)
        assert (caught.value.error, caught.value.retryable) == ("Unavailable", True)
    wire.reset()
    assert get(world) == {"value": "v", "hit": True}
