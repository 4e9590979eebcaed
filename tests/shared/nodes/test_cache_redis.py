"""`cache_set` and `cache_get` at a Redis of the tenant's own: the same rules as in the own cache."""

from __future__ import annotations

import time
from typing import Any

import pytest

from shared.nodes.base import NodeError
from tests.servers.databases import Database
from tests.shared.nodes.calls import Keyring, Outside, execute

AT = {"credential": "db"}


@pytest.fixture
def world(redis_server: Database) -> Outside:
    keys = Keyring({"db": ("redis", redis_server.values), "key": ("bearer", {"token": "t"})})
    made = Outside(allowed_hosts=redis_server.allowed, credentials=keys)
    ask(made, "DEL", "k", "a:k", "b:k")
    return made


def ask(world: Outside, command: str, *args: Any) -> Any:
    return execute("nosql_query", AT, {"query": {"command": command, "args": list(args)}}, world=world)["results"][0]


def get(world: Outside, key: Any = "k", **config: Any) -> dict[str, Any]:
    return execute("cache_get", {**AT, **config}, {"key": key}, world=world)


def put(world: Outside, config: dict[str, Any] | None = None, **inputs: Any) -> dict[str, Any]:
    return execute("cache_set", {**AT, **(config or {})}, {"key": "k", "value": 1, **inputs}, world=world)


@pytest.mark.parametrize("value", [None, 0, "text", {"USD": 1.08}, [1, [2]]])
def test_what_is_set_is_got(world: Outside, value: Any) -> None:
    assert get(world) == {"value": None, "hit": False}
    assert put(world, value=value) == {"success": True}
    assert put(world, value=value) == {"success": True}
    assert get(world) == {"value": value, "hit": True}


@pytest.mark.parametrize(("ttl", "least", "most"), [(None, 3590, 3600), (60, 50, 60), (1.5, 1, 2)])
def test_how_long_it_is_kept(world: Outside, ttl: Any, least: int, most: int) -> None:
    put(world, ttl=ttl)
    assert least <= ask(world, "PTTL", "k") / 1000 <= most


def test_it_goes_when_its_time_is_over(world: Outside) -> None:
    put(world, ttl=1)
    deadline = time.monotonic() + 5
    while get(world)["hit"] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert get(world)["hit"] is False


def test_prefixes_are_apart(world: Outside) -> None:
    put(world, {"prefix": "a:"}, value="of a")
    put(world, {"prefix": "b:"}, value="of b")
    assert get(world, prefix="a:")["value"] == "of a"
    assert get(world, prefix="b:")["value"] == "of b"
    assert get(world)["hit"] is False
    assert ask(world, "GET", "a:k") == '"of a"'


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
def test_bad_input_changes_nothing(world: Outside, inputs: dict[str, Any], error: str, said: str) -> None:
    with pytest.raises(NodeError) as caught:
        put(world, **inputs)
    assert (caught.value.error, caught.value.retryable) == (error, False)
    assert said in caught.value.message
    assert "secret" not in caught.value.message
    assert get(world)["hit"] is False


def test_what_somebody_else_put_there_is_told_from_a_miss(world: Outside) -> None:
    ask(world, "SET", "k", "no json")
    with pytest.raises(NodeError) as caught:
        get(world)
    assert caught.value.error == "InvalidResponse"
    ask(world, "DEL", "k")
    ask(world, "RPUSH", "k", "x")
    with pytest.raises(NodeError) as caught:
        get(world)
    assert caught.value.error == "QueryFailed"


@pytest.mark.parametrize(("name", "error"), [("key", "WrongCredential"), ("none", "CredentialNotFound")])
def test_other_credentials(world: Outside, name: str, error: str) -> None:
    for call in (lambda: get(world, credential=name), lambda: put(world, {"credential": name})):
        with pytest.raises(NodeError) as caught:
            call()
        assert caught.value.error == error
