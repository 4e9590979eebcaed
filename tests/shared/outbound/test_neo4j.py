"""Neo4j by connection, against a scripted Bolt server: no real one is to be had here (docs/graphs.md)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.credentials.checks import CheckFailed
from shared.credentials.checks.neo4j import check
from shared.nodes.base import NodeError
from shared.nodes.rag.graph_query import GraphQuery
from shared.outbound.neo4j import Refused, ask
from tests.bolt_server import Script, a_node, an_edge, serving
from tests.shared.nodes.calls import Keyring, Outside, execute
from tests.shared.outbound import test_tls

SECRET = "hidden-password"
certificate = test_tls.certificate


def asked(script: Script, query: str = "RETURN 1 AS one", *, seconds: float = 5, **more: Any) -> list[dict[str, Any]]:
    with serving(script) as port:
        values = {"uri": f"bolt://127.0.0.1:{port}", "username": "neo4j", "password": SECRET, **more}
        allowed = frozenset({f"127.0.0.1:{port}"})
        return asyncio.run(ask(values, query, {"x": 1}, write=False, seconds=seconds, allowed=allowed))


def test_a_query_and_what_is_sent() -> None:
    script = Script()
    assert asked(script, database="people") == [{"one": 1}]
    [[text, params, extra]] = script.queries()
    assert (text, params) == ("RETURN 1 AS one", {"x": 1})
    assert (extra["db"], extra["mode"], extra["tx_timeout"]) == ("people", "r", 5000)
    hello = script.seen[0][1][0]
    assert (hello["principal"], hello["credentials"]) == ("neo4j", SECRET)


def test_a_cluster_is_not_followed() -> None:
    """Its routing table could name any address."""
    with serving(script := Script()) as port:
        values = {"uri": f"neo4j://127.0.0.1:{port}"}
        allowed = frozenset({f"127.0.0.1:{port}"})
        assert asyncio.run(ask(values, "RETURN 1", {}, write=True, seconds=5, allowed=allowed)) == [{"one": 1}]
    assert 0x66 not in [message for message, _ in script.seen]


def test_the_node_gives_the_same_shapes_as_for_a_graph_of_ones_own() -> None:
    ada, bob = a_node(1, ["Person"], name="Ada"), a_node(2, ["Person", "Cook"], name="Bob")
    script = Script(["a", "k", "x"], [[ada, an_edge(5, 1, 2, "KNOWS", since=1), [bob, {"d": 1.5}]]])
    with serving(script) as port:
        world = Outside(
            allowed_hosts=frozenset({f"127.0.0.1:{port}"}),
            credentials=Keyring({"people": ("neo4j", {"uri": f"bolt://127.0.0.1:{port}"})}),
        )
        made = execute(
            "graph_query", {"credential": "people"}, {"query": "MATCH …", "params": {"n": "Ada"}}, world=world
        )
    assert script.queries()[0][1] == {"n": "Ada"}
    first = {"id": "n1", "labels": ["Person"], "properties": {"name": "Ada"}}
    second = {"id": "n2", "labels": ["Cook", "Person"], "properties": {"name": "Bob"}}
    edge = {"id": "r5", "type": "KNOWS", "start": "n1", "end": "n2", "properties": {"since": 1}}
    assert made == {
        "nodes": [first, second],
        "edges": [edge],
        "rows": [{"a": first, "k": edge, "x": [second, {"d": 1.5}]}],
    }


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (Script(refuses=True), "WrongCredential"),
        (Script(failure="Neo.ClientError.Statement.SyntaxError"), "QueryFailed"),
        (Script(failure="Neo.ClientError.Schema.ConstraintValidationFailed", says="secret words"), "QueryFailed"),
        (Script(failure="Neo.ClientError.Statement.TypeError", says="secret words"), "QueryFailed"),
        (Script(failure="Neo.ClientError.Statement.AccessMode"), "ReadOnly"),
        (Script(failure="Neo.ClientError.Transaction.TransactionTimedOut"), "Timeout"),
        (Script(failure="Neo.TransientError.General.OutOfMemoryError"), "Unavailable"),
        (Script(failure="Neo.DatabaseError.General.UnknownError"), "ConnectionFailed"),
        (Script(cuts=True), "ConnectionFailed"),
        (Script(hangs=True), "Timeout"),
        (Script(rows=[[n] for n in range(10_001)]), "ResultTooLarge"),
        (Script(rows=[["x" * 4_000_000]] * 6), "ResultTooLarge"),
    ],
)
def test_what_goes_wrong(script: Script, error: str) -> None:
    with pytest.raises(Refused) as caught:
        asked(script, seconds=1 if script.hangs else 10)
    assert caught.value.error == error
    assert error in GraphQuery.errors
    assert SECRET not in str(caught.value)
    assert "secret words" not in str(caught.value)
    assert ("what the server says" in str(caught.value)) == str(script.failure).endswith("SyntaxError")


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"uri": "bolt://127.0.0.1:7687"}, "BlockedAddress"),
        ({"uri": "neo4j+s://169.254.169.254"}, "BlockedAddress"),
        ({"uri": "bolt://[::ffff:10.0.0.1]:7687"}, "BlockedAddress"),
        ({"uri": "bolt+ssc://0x7f000001"}, "BlockedAddress"),
        ({"uri": "bolt://no-such-host.invalid"}, "DnsError"),
        ({"uri": "bolt://host:port"}, "ConnectionFailed"),
    ],
)
def test_where_it_does_not_go(values: Mapping[str, Any], error: str) -> None:
    with pytest.raises(Refused) as caught:
        asyncio.run(ask(values, "RETURN 1", {}, write=False, seconds=2, allowed=frozenset()))
    assert caught.value.error == error


def test_nobody_listens() -> None:
    with serving(Script()) as port:
        pass
    allowed = frozenset({f"127.0.0.1:{port}"})
    asking = ask({"uri": f"bolt://127.0.0.1:{port}"}, "RETURN 1", {}, write=False, seconds=2, allowed=allowed)
    with pytest.raises(Refused, match="ConnectionFailed"):
        asyncio.run(asking)


@pytest.mark.parametrize("inputs", [{}, {"query": ""}, {"query": 5}, {"query": "RETURN 1", "params": [1]}])
def test_what_is_no_query_is_not_sent(inputs: dict[str, Any]) -> None:
    world = Outside(credentials=Keyring({"people": ("neo4j", {"uri": "bolt://127.0.0.1:1"})}))
    with pytest.raises(NodeError, match="InvalidInput"):
        execute("graph_query", {"credential": "people"}, inputs, world=world)


def test_a_credential_of_another_kind() -> None:
    world = Outside(credentials=Keyring({"people": ("bearer", {"token": "x"})}))
    with pytest.raises(NodeError, match="WrongCredential"):
        execute("graph_query", {"credential": "people"}, {"query": "RETURN 1"}, world=world)


@pytest.mark.parametrize(
    ("uri", "trusted", "error"),
    [
        ("bolt+s://named.test", True, None),
        ("neo4j+s://named.test", True, None),
        ("bolt+s://other.test", True, "ConnectionFailed"),
        ("bolt+s://named.test", False, "ConnectionFailed"),
        ("bolt+ssc://other.test", False, None),
        ("bolt://named.test", True, "ConnectionFailed"),
    ],
)
def test_tls_is_for_the_name_although_the_address_is_pinned(
    uri: str, trusted: bool, error: str | None, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pinned(*_: Any) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr("shared.outbound.neo4j.checked_addresses", pinned)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate) if trusted else "/nonexistent")
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with serving(Script(), context) as port:
        asking = ask({"uri": f"{uri}:{port}"}, "RETURN 1", {}, write=False, seconds=5, allowed=frozenset())
        if error is None:
            assert asyncio.run(asking) == [{"one": 1}]
            assert names == [uri.split("//")[1]]
        else:
            with pytest.raises(Refused, match=error):
                asyncio.run(asking)


def test_a_credential_is_tried_out() -> None:
    with serving(Script()) as port:
        allowed = frozenset({f"127.0.0.1:{port}"})
        asyncio.run(check({"uri": f"bolt://127.0.0.1:{port}"}, allowed))
    with serving(Script(refuses=True)) as port:
        allowed = frozenset({f"127.0.0.1:{port}"})
        tried = check({"uri": f"bolt://127.0.0.1:{port}", "username": "a", "password": SECRET}, allowed)
        with pytest.raises(CheckFailed, match="user name and password"):
            asyncio.run(tried)
