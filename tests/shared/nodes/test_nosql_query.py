"""`nosql_query` at a real Redis and at moto's DynamoDB."""

from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.base import NodeError
from tests.servers.databases import Database
from tests.servers.process import free_port
from tests.shared.nodes.calls import Keyring, Outside, execute

AWS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "secret-words", "region": "us-east-1"}


def ask(world: Outside, query: Any, credential: str = "db", **config: Any) -> Any:
    return execute("nosql_query", {"credential": credential, **config}, {"query": query}, world=world)["results"]


def failure(*args: Any, **config: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        ask(*args, **config)
    return caught.value


@pytest.fixture
def world(redis_server: Database) -> Outside:
    keys = Keyring({"db": ("redis", redis_server.values), "key": ("bearer", {"token": "t"})})
    made = Outside(allowed_hosts=redis_server.allowed, credentials=keys)
    ask(made, {"command": "DEL", "args": ["k", "h", "l", "s", "z"]})
    return made


def test_redis_commands(world: Outside) -> None:
    assert ask(world, {"command": "set", "args": ["k", "Ä"]}) == [True]
    assert ask(world, {"command": "GET", "args": ["k"]}) == ["Ä"]
    assert ask(world, {"command": "GET", "args": ["none"]}) == [None]
    assert ask(world, {"command": "HSET", "args": ["h", "a", 1, "b", True]}) == [2]
    assert ask(world, {"command": "HGETALL", "args": ["h"]}) == [{"a": "1", "b": "true"}]
    assert ask(world, {"command": "RPUSH", "args": ["l", "x", "y"]}) == [2]
    assert ask(world, {"command": "LRANGE", "args": ["l", 0, -1]}) == ["x", "y"]
    assert ask(world, {"command": "ZADD", "args": ["z", 1.5, "m"]}) == [1]
    assert ask(world, {"command": "ZRANGE", "args": ["z", 0, -1, "WITHSCORES"]}) in ([["m", 1.5]], ["m", "1.5"])
    assert ask(world, {"command": "SADD", "args": ["s", "one"]}) == [1]
    assert ask(world, {"command": "SMEMBERS", "args": ["s"]}) == ["one"]
    assert ask(world, {"command": "MGET", "args": ["k", "none"]}) == ["Ä", None]


@pytest.mark.parametrize(
    "query",
    [
        None,
        [],
        {},
        {"command": "KEYS", "args": ["*"]},
        {"command": "EVAL", "args": ["return 1", 0]},
        {"command": "FLUSHALL"},
        {"command": "CONFIG", "args": ["GET", "*"]},
        {"command": "SELECT", "args": [1]},
        {"command": "BLPOP", "args": ["l", 0]},
        {"command": "SUBSCRIBE", "args": ["c"]},
        {"command": "AUTH", "args": ["x"]},
        {"command": "SCRIPT LOAD", "args": ["x"]},
        {"command": "MIGRATE", "args": ["10.0.0.1", 6379, "k", 0, 100]},
        {"command": "SLAVEOF", "args": ["10.0.0.1", 6379]},
        {"command": "GET k\r\nFLUSHALL"},
        {"command": "GET", "args": "k"},
        {"command": "GET", "args": [None]},
        {"command": "GET", "args": [{}]},
        {"command": "GET", "args": ["k"], "more": 1},
    ],
)
def test_redis_refuses_other_commands(world: Outside, query: Any) -> None:
    error = failure(world, query)
    assert (error.error, error.retryable) == ("InvalidInput", False)


def test_redis_faults(world: Outside, redis_server: Database) -> None:
    ask(world, {"command": "SET", "args": ["k", "text"]})
    assert failure(world, {"command": "INCR", "args": ["k"]}).error == "QueryFailed"
    assert failure(world, {"command": "LPUSH", "args": ["k", "x"]}).error == "QueryFailed"
    assert failure(world, {"command": "GET", "args": []}).error == "QueryFailed"
    for name, error in (("key", "WrongCredential"), ("none", "CredentialNotFound")):
        assert failure(world, {"command": "PING"}, name).error == error
    nowhere = free_port()
    for url, error in (
        (f"redis://:wrong-word@127.0.0.1:{redis_server.port}", "AuthenticationFailed"),
        (f"redis://127.0.0.1:{redis_server.port}", "AuthenticationFailed"),
        (f"redis://127.0.0.1:{nowhere}", "ConnectionFailed"),
        ("redis://10.0.0.1", "BlockedAddress"),
        ("redis://nowhere.invalid", "DnsError"),
        (f"redis://127.0.0.1:{redis_server.port}/x", "InvalidInput"),
        (f"redis://127.0.0.1:{redis_server.port}?ssl_ca_certs=/etc/passwd", "InvalidInput"),
    ):
        keys = Keyring({"db": ("redis", {"url": url})})
        other = Outside(allowed_hosts=redis_server.allowed | {f"127.0.0.1:{nowhere}"}, credentials=keys)
        made = failure(other, {"command": "PING"})
        assert made.error == error, url
        assert "-word" not in made.message


def test_redis_over_tls(redis_server: Database) -> None:
    def ping(url: str, **more: Any) -> Any:
        keys = Keyring({"db": ("redis", {"url": url, **more})})
        return ask(Outside(allowed_hosts=redis_server.allowed, credentials=keys), {"command": "PING"})

    named = f"rediss://:redis-word@localhost:{redis_server.tls_port}"
    assert ping(named, ca=redis_server.ca) == [True]
    other = f"rediss://:redis-word@127.0.0.1:{redis_server.tls_port}"
    for url, more in ((named, {}), (other, {"ca": redis_server.ca})):  # no trust, another name
        with pytest.raises(NodeError) as caught:
            ping(url, **more)
        assert caught.value.error == "ConnectionFailed"


def test_redis_replies_that_are_too_large(world: Outside) -> None:
    ask(world, {"command": "SETRANGE", "args": ["k", 21_000_000, "x"]})
    assert failure(world, {"command": "GET", "args": ["k"]}).error == "ResponseTooLarge"
    ask(world, {"command": "DEL", "args": ["k"]})


@pytest.fixture
def table(aws: dict[str, str]) -> Outside:
    from shared.aws.clients import client

    client("dynamodb").create_table(
        TableName="shop",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return Outside(credentials=Keyring({"db": ("aws", AWS)}))


def put(world: Outside, sk: int, **more: Any) -> None:
    item = {"pk": "a", "sk": sk, **more}
    assert ask(world, {"operation": "PutItem", "TableName": "shop", "Item": item}, read_only=False) == []


def test_dynamodb_items(table: Outside) -> None:
    rich = {"n": 1.5, "t": "Ä", "b": True, "z": None, "l": [1, "x", {"y": []}], "m": {"k": 2}}
    put(table, 1, **rich)
    put(table, 2)
    key = {"TableName": "shop", "Key": {"pk": "a", "sk": 1}}
    assert ask(table, {"operation": "GetItem", **key}) == [{"pk": "a", "sk": 1, **rich}]
    assert ask(table, {"operation": "GetItem", "TableName": "shop", "Key": {"pk": "a", "sk": 9}}) == []
    query = {
        "operation": "Query",
        "TableName": "shop",
        "KeyConditionExpression": "pk = :pk AND sk >= :from",
        "ExpressionAttributeValues": {":pk": "a", ":from": 1},
        "ScanIndexForward": False,
    }
    assert [item["sk"] for item in ask(table, query)] == [2, 1]
    assert failure(table, query, max_results=1).error == "TooManyRows"
    change = {
        "operation": "UpdateItem",
        **key,
        "UpdateExpression": "SET n = n + :one",
        "ExpressionAttributeValues": {":one": 1},
        "ReturnValues": "UPDATED_NEW",
    }
    assert ask(table, change, read_only=False) == [{"n": 2.5}]
    assert ask(table, {"operation": "DeleteItem", **key, "ReturnValues": "ALL_OLD"}, read_only=False)[0]["n"] == 2.5


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({}, "InvalidInput"),
        ({"operation": "Scan", "TableName": "shop"}, "InvalidInput"),
        ({"operation": "DeleteTable", "TableName": "shop"}, "InvalidInput"),
        ({"operation": "GetItem", "TableName": "shop", "Key": "a"}, "InvalidInput"),
        ({"operation": "GetItem", "TableName": 5, "Key": {}}, "InvalidInput"),
        ({"operation": "GetItem"}, "InvalidInput"),
        ({"operation": "GetItem", "TableName": "shop", "Key": {"pk": "a"}}, "QueryFailed"),
        ({"operation": "GetItem", "TableName": "none", "Key": {"pk": "a"}}, "QueryFailed"),
        (
            {"operation": "GetItem", "TableName": "shop", "Key": {"pk": "a", "sk": 1}, "EndpointUrl": "x"},
            "InvalidInput",
        ),
        ({"operation": "PutItem", "TableName": "shop", "Item": {"pk": "a", "sk": float("nan")}}, "InvalidInput"),
    ],
)
def test_dynamodb_bad_input(table: Outside, query: Any, error: str) -> None:
    made = failure(table, query, read_only=False)
    assert (made.error, made.retryable) == (error, False)
    assert "secret-words" not in made.message


def test_dynamodb_read_only_and_conditions(table: Outside) -> None:
    put(table, 1)
    item = {"TableName": "shop", "Item": {"pk": "a", "sk": 1}, "ConditionExpression": "attribute_not_exists(pk)"}
    assert failure(table, {"operation": "PutItem", **item}).error == "ReadOnly"
    assert failure(table, {"operation": "PutItem", **item}, read_only=False).error == "ConstraintViolation"
