"""`nosql_query` at MongoDB: the real driver and protocol, a stand-in behind them (`tests.servers.mongo`)."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.nodes.base import NodeError
from tests.servers.certificates import certified
from tests.servers.mongo import Standing, standing
from tests.servers.process import free_port
from tests.shared.nodes.calls import Keyring, Outside, execute


@pytest.fixture
def server() -> Iterator[Standing]:
    with standing() as made:
        yield made


def ask(server: Standing, query: Any, uri: str = "", **config: Any) -> Any:
    values = {"uri": uri or f"mongodb://{server.host}", "database": "shop", **config.pop("values", {})}
    keys = Keyring({"db": ("mongodb", values), "key": ("bearer", {"token": "t"})})
    allowed = frozenset({server.host, f"localhost:{server.port}"})
    world = Outside(allowed_hosts=allowed, credentials=keys)
    timeout = config.pop("node_timeout", 20)
    settings = {"credential": "db", **config}
    return execute("nosql_query", settings, {"query": query}, world=world, timeout_seconds=timeout)["results"]


def failure(*args: Any, **config: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        ask(*args, **config)
    return caught.value


def orders(operation: str, **more: Any) -> dict[str, Any]:
    return {"operation": operation, "collection": "orders", **more}


def fill(server: Standing, count: int = 3) -> None:
    documents = [{"_id": i, "total": i * 1.5, "tags": ["a"]} for i in range(1, count + 1)]
    assert ask(server, orders("insert", documents=documents), read_only=False) == [
        {"inserted_ids": list(range(1, count + 1))}
    ]


def test_documents_are_found(server: Standing) -> None:
    fill(server)
    query = orders("find", filter={"total": {"$gt": 2}}, sort=[["total", -1]], projection={"tags": 0}, limit=5)
    assert ask(server, query) == [{"_id": 3, "total": 4.5}, {"_id": 2, "total": 3.0}]
    assert ask(server, orders("find", skip=1, limit=1, sort=["_id"])) == [{"_id": 2, "total": 3.0, "tags": ["a"]}]
    assert ask(server, orders("count", filter={"total": {"$gt": 2}})) == [{"count": 2}]
    grouped = [{"$match": {"_id": {"$gt": 1}}}, {"$group": {"_id": None, "sum": {"$sum": "$total"}}}]
    assert ask(server, orders("aggregate", pipeline=grouped)) == [{"_id": None, "sum": 7.5}]


def test_documents_are_changed(server: Standing) -> None:
    fill(server)
    change = {"filter": {"_id": {"$gt": 1}}, "update": {"$set": {"done": True}}}
    made = ask(server, orders("update", **change, many=True), read_only=False)
    assert made == [{"matched": 2, "modified": 2, "upserted_id": None}]
    new = orders("update", filter={"_id": 9}, update={"$set": {"x": 1}}, upsert=True)
    assert ask(server, new, read_only=False) == [{"matched": 0, "modified": 0, "upserted_id": 9}]
    assert ask(server, orders("delete", filter={"_id": 9}), read_only=False) == [{"deleted": 1}]
    assert ask(server, orders("delete", filter={}, many=True), read_only=False) == [{"deleted": 3}]


def test_what_json_has_no_type_for(server: Standing) -> None:
    day = {"$date": "2026-01-31T10:20:30Z"}
    document = {"_id": {"$oid": "0123456789abcdef01234567"}, "at": day, "big": {"$numberLong": "9007199254740993"}}
    ask(server, orders("insert", documents=[document]), read_only=False)
    [found] = ask(server, orders("find", filter={"_id": {"$oid": "0123456789abcdef01234567"}, "at": {"$lte": day}}))
    assert found["_id"] == "0123456789abcdef01234567"
    assert found["at"] == "2026-01-31T10:20:30Z"


@pytest.mark.parametrize(
    "query",
    [
        None,
        "find",
        {},
        {"operation": "drop", "collection": "orders"},
        {"operation": ["find"], "collection": "orders"},
        {"operation": "find"},
        {"operation": "find", "collection": 5},
        {"operation": "find", "collection": "system.users"},
        {"operation": "find", "collection": "$cmd"},
        {"operation": "find", "collection": "o", "comment": "x"},
        {"operation": "find", "collection": "o", "filter": "x"},
        {"operation": "find", "collection": "o", "limit": "x"},
        {"operation": "find", "collection": "o", "filter": {"_id": {"$oid": "short"}}},
        {"operation": "find", "collection": "o", "filter": {"$where": "sleep(1000)"}},
        {"operation": "find", "collection": "o", "filter": {"$or": [{"$expr": {"$function": {"body": "x"}}}]}},
        {"operation": "aggregate", "collection": "o"},
        {"operation": "aggregate", "collection": "o", "pipeline": [{"$group": {"x": {"$accumulator": {}}}}]},
        {"operation": "aggregate", "collection": "o", "pipeline": [{"$facet": {"a": [{"$currentOp": {}}]}}]},
        {"operation": "update", "collection": "o", "update": {}},
        {"operation": "delete", "collection": "o"},
        {"operation": "insert", "collection": "o"},
    ],
)
def test_bad_input_and_javascript_go_nowhere(server: Standing, query: Any) -> None:
    error = failure(server, query, read_only=False)
    assert (error.error, error.retryable) == ("InvalidInput", False)
    assert not [c for c in server.asked if next(iter(c)) in ("find", "aggregate", "insert", "update", "delete")]


def test_read_only(server: Standing) -> None:
    fill(server, 1)
    writes = [
        orders("insert", documents=[{}]),
        orders("update", filter={}, update={"$set": {"a": 1}}),
        orders("delete", filter={}),
        orders("aggregate", pipeline=[{"$match": {}}, {"$out": "other"}]),
        orders("aggregate", pipeline=[{"$merge": {"into": "other"}}]),
    ]
    assert [failure(server, query).error for query in writes] == ["ReadOnly"] * 5
    assert ask(server, orders("count")) == [{"count": 1}]


def test_too_much(server: Standing) -> None:
    fill(server)
    assert failure(server, orders("find"), max_results=2).error == "TooManyRows"
    server.database["shop"]["big"].insert_many([{"_id": i, "x": "y" * 11_000_000} for i in range(2)])
    assert failure(server, {"operation": "find", "collection": "big"}).error == "ResponseTooLarge"


def test_the_servers_own_refusals(server: Standing) -> None:
    fill(server, 1)
    double = failure(server, orders("insert", documents=[{"_id": 1, "secret": "hush"}]), read_only=False)
    assert (double.error, double.retryable) == ("ConstraintViolation", False)
    assert "hush" not in double.message
    assert failure(server, orders("find", filter={"a": {"$nonsense": 1}})).error == "QueryFailed"


def test_who_may_not_sign_in(server: Standing) -> None:
    error = failure(server, orders("find"), f"mongodb://ada:pass-word@{server.host}/?authMechanism=SCRAM-SHA-256")
    assert (error.error, error.retryable) == ("AuthenticationFailed", False)
    assert "pass-word" not in error.message


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("mongodb://10.0.0.1:27017", "BlockedAddress"),
        ("mongodb://169.254.169.254", "BlockedAddress"),
        ("mongodb://nowhere.invalid", "DnsError"),
        ("mongodb+srv://nowhere.invalid", "DnsError"),
        ("mongodb://%2Ftmp%2Fmongodb.sock", "InvalidInput"),
        ("mongodb://a:b:c", "InvalidInput"),
        ("mongodb://u:p@10.0.0.1/?authMechanism=MONGODB-AWS", "InvalidInput"),
        ("mongodb://10.0.0.1/?tlsCAFile=/etc/passwd", "InvalidInput"),
    ],
)
def test_addresses_that_are_refused(server: Standing, uri: str, error: str) -> None:
    made = failure(server, orders("find"), uri)
    assert made.error in (error, "BlockedAddress" if "tlsCAFile" in uri else error)
    assert not server.asked


def test_hosts_that_a_server_names_are_not_followed(server: Standing) -> None:
    fill(server, 1)  # its hello names 10.0.0.1 as the replica set's only member
    assert ask(server, orders("count")) == [{"count": 1}]


def test_the_member_that_takes_writes_is_used(server: Standing) -> None:
    with standing() as other:
        other.primary = False
        uri = f"mongodb://{other.host},{server.host}/?replicaSet=rs0"
        keys = Keyring({"db": ("mongodb", {"uri": uri, "database": "shop"})})
        world = Outside(allowed_hosts=frozenset({server.host, other.host}), credentials=keys)
        execute("nosql_query", {"credential": "db"}, {"query": orders("count")}, world=world)
        assert "aggregate" in {next(iter(c)) for c in server.asked}
        assert "aggregate" not in {next(iter(c)) for c in other.asked}
    server.primary = False
    assert failure(server, orders("count")).error == "ConnectionFailed"


def test_nobody_there(server: Standing) -> None:
    server.port = free_port()
    error = failure(server, orders("count"))
    assert (error.error, error.retryable) == ("ConnectionFailed", True)


def test_a_wrong_credential(server: Standing) -> None:
    assert failure(server, orders("count"), credential="key").error == "WrongCredential"
    assert failure(server, orders("count"), credential="none").error == "CredentialNotFound"


def test_tls(tmp_path: Path) -> None:
    tls = certified()
    (tmp_path / "pem").write_text(tls.certificate + tls.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem")
    with standing(context) as server:
        named = f"mongodb://localhost:{server.port}/?tls=true"
        assert ask(server, orders("count"), named, values={"ca": tls.ca}) == [{"count": 0}]
        assert failure(server, orders("count"), named).error == "ConnectionFailed"
        other = f"mongodb://{server.host}/?tls=true"
        assert failure(server, orders("count"), other, values={"ca": tls.ca}).error == "ConnectionFailed"
