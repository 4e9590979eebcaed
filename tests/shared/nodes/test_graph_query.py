"""`graph_query`: over the tenant's own graphs for real, over moto's stores."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import Conflict, Unavailable
from shared.graphs.service import GraphService
from shared.graphs.store import GraphStore
from shared.nodes.base import NodeError
from shared.nodes.rag.graph_query import GraphQuery
from shared.store.table import TenantTable
from tests.shared.nodes.calls import Keyring, Outside, call, execute, fits, run


@pytest.fixture
def world(tenant: Any) -> Outside:
    return Outside(graphs=GraphService(GraphStore(TenantTable(tenant))), credentials=Keyring({}))


def test_the_example_and_reading_it(world: Outside) -> None:
    example = GraphQuery.example
    made = call("graph_query", example["config"], example["inputs"], world=world)
    written = run(made, "graph_query")
    assert made.usage["milliseconds"] > 0
    [row] = written["rows"]
    assert row.keys() == {"a", "k", "b"}
    assert [n["properties"] for n in written["nodes"]] == [{"name": "Ada"}, {"name": "Charles"}]
    assert [e["type"] for e in written["edges"]] == ["KNOWS"]
    query = "MATCH (a)-[:KNOWS]->(b) RETURN a.name AS a, b.name AS b"
    for params in ({}, {"params": None}):
        read = execute("graph_query", {"graph": "people"}, {"query": query, **params}, world=world)
        assert read == {"nodes": [], "edges": [], "rows": [{"a": "Ada", "b": "Charles"}]}
    assert execute("graph_query", {}, {"query": query}, world=world)["rows"] == []


def test_an_attempt_that_is_made_again_writes_once(world: Outside) -> None:
    made = call("graph_query", {"mode": "write"}, {"query": "CREATE (n:N {x: 1}) WITH n RETURN n.x AS x"}, world=world)
    assert run(made, "graph_query") == run(made, "graph_query") == {"nodes": [], "edges": [], "rows": [{"x": 1}]}
    counted = execute("graph_query", {}, {"query": "MATCH (n:N) RETURN count(n) AS c"}, world=world)
    assert counted["rows"] == [{"c": 1}]


@pytest.mark.parametrize(
    ("config", "inputs", "error", "said"),
    [
        ({}, {}, "InvalidInput", "query"),
        ({}, {"query": None}, "InvalidInput", "query"),
        ({}, {"query": ""}, "InvalidInput", "query"),
        ({}, {"query": ["RETURN 1"]}, "InvalidInput", "query"),
        ({}, {"query": "RETURN 1", "params": [1]}, "InvalidInput", "params"),
        ({}, {"query": "RETURN 1", "params": ""}, "InvalidInput", "params"),
        ({}, {"query": "RETURN 1", "params": 0}, "InvalidInput", "params"),
        ({}, {"query": "RETURN '\ud800'"}, "InvalidInput", "Unicode"),
        ({}, {"query": "LOAD CSV FROM '/etc/passwd' AS l RETURN l"}, "InvalidInput", "LOAD CSV"),
        ({}, {"query": "CALL db.labels()"}, "InvalidInput", "CALL"),
        ({}, {"query": "RETURN 1 //" + "x" * 100_000}, "TooLarge", "100,000"),
        ({}, {"query": "MATCH (n"}, "QueryFailed", "column"),
        ({}, {"query": "CREATE (:N)"}, "ReadOnly", "config.mode"),
        ({"mode": "read"}, {"query": "UNWIND range(1, 10001) AS x RETURN x"}, "ResultTooLarge", "10,000"),
        ({}, {"query": "UNWIND range(1, 100000) AS a UNWIND range(1, 100000) AS b RETURN count(*)"}, "Timeout", "time"),
        ({"credential": "missing"}, {"query": "RETURN 1"}, "CredentialNotFound", "missing"),
    ],
)
def test_what_goes_wrong(world: Outside, config: dict[str, Any], inputs: dict[str, Any], error: str, said: str) -> None:
    with pytest.raises(NodeError, match=said) as caught:
        execute("graph_query", config, inputs, world=world, timeout_seconds=1)
    assert caught.value.error == error
    assert error in GraphQuery.errors


class Refusing:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def run(self, *_: Any, **__: Any) -> Any:
        raise self._error


@pytest.mark.parametrize(("refusal", "error"), [(Conflict("no"), "Busy"), (Unavailable("no"), "Unavailable")])
def test_what_the_store_refuses(refusal: Exception, error: str) -> None:
    with pytest.raises(NodeError) as caught:
        execute("graph_query", {}, {"query": "RETURN 1"}, world=Outside(graphs=Refusing(refusal)))
    assert caught.value.error == error
    assert caught.value.retryable


@pytest.mark.parametrize("config", [{"graph": ""}, {"graph": "../x"}, {"graph": "A"}, {"mode": "both"}, {"more": 1}])
def test_a_config_that_does_not_fit(config: dict[str, Any]) -> None:
    assert not fits(GraphQuery(), config)
