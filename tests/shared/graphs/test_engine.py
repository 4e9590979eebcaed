"""The embedded engine, in its box: what openCypher it knows, what it refuses, that a write happens once."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from shared.errors import Invalid, TooLarge
from shared.graphs import engine
from shared.graphs.box import Query, answer
from shared.graphs.errors import GraphQueryFailed
from shared.graphs.values import found, of_engine
from shared.sandbox.limits import Limits
from shared.sandbox.process import run


class Graph:
    """A graph's bytes, and queries of it."""

    def __init__(self) -> None:
        self.bytes = b""
        self._count = 0

    def __call__(
        self, text: str, *, write: bool = True, occasion: str = "", seconds: float = 10, **params: Any
    ) -> list[dict[str, Any]]:
        self._count += 1
        query = Query.checked(text, params, occasion or f"occasion {self._count}")
        rows, changed = answer(query, self.bytes, seconds, write=write)
        self.bytes = self.bytes if changed is None else changed
        return of_engine(rows)

    def read(self, text: str, **params: Any) -> list[dict[str, Any]]:
        return self(text, write=False, **params)


@pytest.fixture(scope="module")
def people() -> Graph:
    graph = Graph()
    graph(
        """CREATE (a:Person {name: 'Ada', age: 36}), (b:Person {name: 'Bob', age: 40}), (c:Person:Cook {name: 'Cleo'}),
        (d:City {name: 'Delft', at: [52.0, 4.4]}), (a)-[:KNOWS {since: 1}]->(b), (b)-[:KNOWS {since: 2}]->(c),
        (a)-[:LIVES_IN]->(d), (c)-[:LIVES_IN]->(d)"""
    )
    return graph


@pytest.mark.parametrize(
    ("text", "params", "rows"),
    [
        ("RETURN 1 AS a, 'x' AS b, null AS c, true AS d, 1.5 AS e, [1] AS f", {}, [[1, "x", None, True, 1.5, [1]]]),
        ("RETURN $x.y AS y", {"x": {"y": [1, {"z": "ü"}]}}, [[[1, {"z": "ü"}]]]),
        ("MATCH (n:Person) RETURN n.name ORDER BY n.name", {}, [["Ada"], ["Bob"], ["Cleo"]]),
        ("MATCH (n:Person {name: $name}) RETURN n.age", {"name": "Ada"}, [[36]]),
        ("MATCH (n:Person {name: $name}) RETURN n", {"name": "' OR 1=1 --"}, []),
        (
            "MATCH (n:Person) WHERE n.age > 36 OR n.name STARTS WITH 'C' RETURN n.name ORDER BY n.name",
            {},
            [["Bob"], ["Cleo"]],
        ),
        ("MATCH (n:Person) WHERE n.age IS NULL RETURN n.name", {}, [["Cleo"]]),
        ("MATCH (n:Person) RETURN n.name ORDER BY n.name DESC SKIP 1 LIMIT 1", {}, [["Bob"]]),
        (
            "MATCH (n:Person) RETURN count(*) AS c, sum(n.age) AS s, max(n.age) AS m, avg(n.age) AS a",
            {},
            [[3, 76, 40, 38.0]],
        ),
        ("MATCH (a)-[:KNOWS]->(b) RETURN a.name, b.name ORDER BY a.name", {}, [["Ada", "Bob"], ["Bob", "Cleo"]]),
        ("MATCH (a)<-[k:KNOWS]-(b) RETURN a.name, k.since ORDER BY k.since", {}, [["Bob", 1], ["Cleo", 2]]),
        ("MATCH (a {name: 'Ada'})-[:KNOWS*1..3]->(b) RETURN b.name ORDER BY b.name", {}, [["Bob"], ["Cleo"]]),
        (
            "MATCH (a)-[:LIVES_IN]->(c)<-[:LIVES_IN]-(b) RETURN a.name, b.name ORDER BY a.name",
            {},
            [["Ada", "Cleo"], ["Cleo", "Ada"]],
        ),
        (
            "MATCH (a:Person) OPTIONAL MATCH (a)-[:KNOWS]->(b) RETURN a.name, b.name ORDER BY a.name",
            {},
            [["Ada", "Bob"], ["Bob", "Cleo"], ["Cleo", None]],
        ),
        ("MATCH (n:Person) WHERE EXISTS { (n)-[:KNOWS]->() } RETURN n.name ORDER BY n.name", {}, [["Ada"], ["Bob"]]),
        ("MATCH (n:Person) WHERE NOT (n)-[:KNOWS]->() RETURN n.name", {}, [["Cleo"]]),
        (
            "MATCH (a:Person)-[:LIVES_IN]->(c) WITH c, collect(a.name) AS names RETURN c.name, size(names) AS n",
            {},
            [["Delft", 2]],
        ),
        ("UNWIND [3, 1, 2] AS x WITH x ORDER BY x RETURN collect(x) AS xs", {}, [[[1, 2, 3]]]),
        ("RETURN [x IN range(1, 5) WHERE x % 2 = 1 | x * x] AS xs", {}, [[[1, 9, 25]]]),
        ("RETURN CASE WHEN 1 > 2 THEN 'a' ELSE 'b' END AS c, coalesce(null, 4) AS d", {}, [["b", 4]]),
        ("MATCH p = shortestPath((a {name: 'Ada'})-[:KNOWS*]->(b {name: 'Cleo'})) RETURN length(p) AS n", {}, [[2]]),
        ("MATCH (n:Cook) RETURN labels(n) AS l, keys(n) AS k", {}, [[["Cook", "Person"], ["name"]]]),
        ("MATCH (n:Person) RETURN DISTINCT n.nothing AS x", {}, [[None]]),
        ("RETURN 1 AS x UNION RETURN 2 AS x", {}, [[1], [2]]),
        ("MATCH (d:City) RETURN d.at AS at", {}, [[[52.0, 4.4]]]),
        ("MATCH (n:Nobody {no: 1}) RETURN n", {}, []),
    ],
)
def test_a_query(people: Graph, text: str, params: dict[str, Any], rows: list[list[Any]]) -> None:
    found_rows = [list(row.values()) for row in people.read(text, **params)]
    if text.startswith("MATCH (n:Cook)"):
        found_rows = [[sorted(labels), keys] for labels, keys in found_rows]
    assert found_rows == rows


def test_nodes_edges_and_paths(people: Graph) -> None:
    rows = people.read("MATCH p = (a {name: 'Ada'})-[k:KNOWS]->(b) RETURN a, k, [b, b] AS both, p")
    nodes, edges = found(rows)
    assert [n["properties"]["name"] for n in nodes] == ["Ada", "Bob"]
    assert nodes[0].keys() == {"id", "labels", "properties"}
    assert nodes[0]["labels"] == ["Person"]
    [edge] = edges
    assert (edge["type"], edge["properties"]) == ("KNOWS", {"since": 1})
    assert (edge["start"], edge["end"]) == (nodes[0]["id"], nodes[1]["id"])
    assert rows[0]["p"] == {"nodes": nodes, "edges": edges}
    assert rows[0]["k"] == edge


def test_lists_and_maps_are_values_and_texts_are_texts() -> None:
    graph = Graph()
    graph("CREATE (:C {list: [1, 2], map: {a: [3]}, text: '[1]', other: '{}'})")
    [row] = graph.read(
        "MATCH (c:C) RETURN c.list AS a, c.map AS b, c.text AS c, c.other AS d, [c.list] AS e, c AS f, '[x' AS g"
    )
    node = row.pop("f")
    assert row == {"a": [1, 2], "b": {"a": [3]}, "c": "[1]", "d": "{}", "e": [[1, 2]], "g": "[x"}
    assert node["properties"] == {"list": [1, 2], "map": {"a": [3]}, "text": "[1]", "other": "{}"}


def test_writing() -> None:
    graph = Graph()
    counted = graph("CREATE (:A {x: 1})-[:R]->(:B)")
    assert counted[0]["nodes_created"] == 2
    merge = (
        "MERGE (a:A {x: $x}) ON CREATE SET a.made = true ON MATCH SET a.met = true RETURN a.made AS made, a.met AS met"
    )
    assert graph(merge, x=1) == [{"made": None, "met": True}]
    assert graph(merge, x=2) == [{"made": True, "met": None}]
    graph("UNWIND $rows AS r CREATE (n:C {k: r.k, t: r.t})", rows=[{"k": "a", "t": [1, 2]}, {"k": "b", "t": None}])
    assert graph.read("MATCH (n:C) RETURN n.k AS k, n.t AS t ORDER BY k") == [
        {"k": "a", "t": [1, 2]},
        {"k": "b", "t": None},
    ]
    graph("MATCH (n:C {k: 'a'}) SET n:D, n.k = 'z' REMOVE n.t")
    assert graph.read("MATCH (n:D) RETURN n.k AS k, n.t AS t") == [{"k": "z", "t": None}]
    with pytest.raises(GraphQueryFailed, match="relationships"):
        graph("MATCH (n:A {x: 1}) DELETE n")
    graph("MATCH (n:A) DETACH DELETE n")
    assert graph.read("MATCH ()-[r]->() RETURN count(r) AS c") == [{"c": 0}]
    graph("CREATE CONSTRAINT FOR (n:U) REQUIRE n.k IS UNIQUE")
    graph("CREATE INDEX FOR (n:U) ON (n.k)")
    graph("CREATE (:U {k: 1})")
    with pytest.raises(GraphQueryFailed, match="same value"):
        graph("CREATE (:U {k: 1})")


def test_a_write_happens_once_for_an_occasion() -> None:
    graph = Graph()
    first = graph("CREATE (n:A {x: $x}) WITH n RETURN n.x AS x", occasion="run 1", x=1)
    held = graph.bytes
    assert graph("CREATE (n:A {x: $x}) WITH n RETURN n.x AS x", occasion="run 1", x=1) == first == [{"x": 1}]
    assert graph.bytes == held
    for other in ({"occasion": "run 2", "x": 1}, {"occasion": "run 1", "x": 2}):
        graph("CREATE (n:A {x: $x}) WITH n RETURN n.x AS x", **other)
    assert graph.read("MATCH (n:A) RETURN count(n) AS c") == [{"c": 3}]


def test_what_is_created_can_be_returned() -> None:
    graph = Graph()
    [row] = graph(
        "CREATE (a:A {x: $x})-[r:R {y: 1}]->(b:B) SET b.z = 2 WITH a, r, b RETURN a, r, b, a.x + 1 AS next", x=1
    )
    assert [row[n]["properties"] for n in ("a", "r", "b")] == [{"x": 1}, {"y": 1}, {"z": 2}]
    assert row["next"] == 2
    rows = graph("UNWIND $xs AS x CREATE (n:C {x: x}) RETURN n, n.x * 2 AS twice", xs=[1, 2])
    assert [(row["n"]["properties"], row["twice"]) for row in rows] == [({"x": 1}, 2), ({"x": 2}, 4)]
    for wrong in (
        "CREATE (n) RETURN n",
        " create (n)\n // with\n return n",
        "CREATE p = (a)-[:R]->(b) WITH p RETURN p",
    ):
        with pytest.raises(Invalid, match=r"WITH between|names no path"):
            graph(wrong)


def test_only_the_last_hundred_answers_are_kept() -> None:
    connection = engine._opened()  # in this process: it is the tables that are looked at

    def write(occasion: int) -> None:
        asked = {"query": "CREATE (n:A) RETURN 1 AS x", "params": {}, "write": True, "occasion": str(occasion)}
        assert engine._answer(connection, asked)["rows"] == [{"x": 1}]

    for n in range(102):
        write(n)
    write(101)
    assert connection.execute("SELECT count(*), min(place) FROM answered").fetchall() == [(100, 3)]
    write(0)
    assert connection.execute("SELECT count(*) FROM nodes").get == 103


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("MATCH (n", "QueryFailed", "line 1, column 9"),
        ("MATCH (n) RETURN m", "QueryFailed", "m"),
        ("RETURN no_such(1)", "QueryFailed", "no_such"),
        ("RETURN 1/0 AS", "QueryFailed", "Syntax"),
        ("CREATE (:X)", "ReadOnly", "config.mode"),
        ("MATCH (n) SET n.x = 1", "ReadOnly", "config.mode"),
        ("MATCH (n) DETACH DELETE n", "ReadOnly", "config.mode"),
        ("MERGE (n:New {x: 1}) RETURN n", "ReadOnly", "config.mode"),
        ("CREATE INDEX FOR (n:U) ON (n.k)", "ReadOnly", "config.mode"),
        ("UNWIND range(1, 20000) AS x RETURN x", "ResultTooLarge", "10,000"),
        ("UNWIND range(1, 9000) AS x RETURN x, $long AS long", "ResultTooLarge", "4,000,000"),
        ("UNWIND range(1, 100000) AS a UNWIND range(1, 100000) AS b RETURN count(*)", "Timeout", "time"),
    ],
)
def test_what_goes_wrong(people: Graph, text: str, error: str, said: str) -> None:
    with pytest.raises(GraphQueryFailed, match=said) as caught:
        people(text, write=False, seconds=1, **({"long": "x" * 1000} if "$long" in text else {}))
    assert caught.value.error == error


def test_a_graph_and_an_answer_that_are_too_large_are_not_written() -> None:
    graph = Graph()
    text = "UNWIND range(1, 60000) AS x CREATE (:N {x: x, t: $t})"
    with pytest.raises(GraphQueryFailed) as caught:
        graph(text, seconds=30, t="x" * 1000)
    assert caught.value.error == "GraphTooLarge"
    with pytest.raises(GraphQueryFailed, match="262,144") as caught:
        graph("UNWIND range(1, 1000) AS x CREATE (n:N {x: x, t: $t}) RETURN n", t="x" * 1000)
    assert caught.value.error == "ResultTooLarge"
    assert graph.bytes == b""


def test_room_that_is_not_needed_any_more_is_given_back() -> None:
    graph = Graph()
    graph("UNWIND range(1, 4000) AS x CREATE (:N {x: x})")
    full = len(graph.bytes)
    graph("MATCH (n:N) DELETE n", seconds=20)
    assert len(graph.bytes) < full / 1.5


FILES = [
    "LOAD CSV FROM 'file:///etc/passwd' AS line RETURN line",
    "load\ncsv with headers from '/proc/self/environ' as line return line",
    "LOAD/* */CSV FROM '/etc/passwd' AS l RETURN l",
    "LOAD // x\n CSV FROM '/etc/passwd' AS l RETURN l",
    "RETURN 1 AS x; LOAD CSV FROM '/etc/passwd' AS l RETURN l",
    "CALL apoc.load.json('file:///etc/passwd')",
    "CALL { MATCH (n) RETURN n } RETURN n",
    "call db.labels()",
]


@pytest.mark.parametrize("text", FILES)
def test_files_and_procedures_are_refused_before_anything_runs(text: str) -> None:
    with pytest.raises(Invalid):
        Query.checked(text, {}, "o")


@pytest.mark.parametrize("text", [*FILES[:5], "RETURN load_extension('x')", "RETURN readfile('/etc/passwd')"])
def test_and_would_find_none(text: str) -> None:
    """The engine itself, without the check before it: LOAD CSV, or SQL in disguise, opens nothing."""
    asked = {"query": text, "params": {}, "write": True, "occasion": "o"}
    head = run("shared.graphs.engine", "apsw", json.dumps(asked).encode() + b"\n", Limits(5)).partition(b"\n")[0]
    assert b"root:" not in head
    assert json.loads(head)["error"] == "QueryFailed"


@pytest.mark.parametrize(
    "text",
    [
        "ATTACH DATABASE '/tmp/x' AS y",
        "RETURN 1 AS `a\"); ATTACH DATABASE '/tmp/x' AS y; --`",
        "MATCH (n {`x') OR 1=1; DROP TABLE nodes; --`: 1}) RETURN n",
        "CREATE (n:`A'; DELETE FROM answered; --`)",
        "RETURN '\\'; PRAGMA temp_store_directory = \"/tmp\"; --' AS x",
    ],
)
def test_sql_in_disguise_is_text(text: str) -> None:
    graph = Graph()
    graph("CREATE (:A)", occasion="first")
    with suppress(GraphQueryFailed):
        graph(text)
    assert graph.read("MATCH (n:A) RETURN count(n) AS c") == [{"c": 1}]
    held = graph.bytes
    graph("CREATE (:A)", occasion="first")
    assert graph.bytes == held, "what was answered is still known"


def test_words_in_texts_and_names_are_no_statements(people: Graph) -> None:
    assert people.read("RETURN 'call me' AS x, \"call\" AS y // call\n")[0] == {"x": "call me", "y": "call"}


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("", {}),
        ("  ", {}),
        (None, {}),
        (5, {}),
        ("RETURN 1", []),
        ("RETURN 1", {"x": float("nan")}),
        ("RETURN '\ud800'", {}),
        ("RETURN 1\0", {}),
        ("RETURN 1", {"x": object()}),
    ],
)
def test_what_is_no_query(text: Any, params: Any) -> None:
    with pytest.raises(Invalid):
        Query.checked(text, params, "o")


def test_a_query_has_a_size() -> None:
    with pytest.raises(TooLarge):
        Query.checked("RETURN 1 //" + "x" * 100_000, {}, "o")
    with pytest.raises(TooLarge):
        Query.checked("RETURN 1", {"x": "x" * 4_000_001}, "o")
