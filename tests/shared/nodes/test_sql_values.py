"""What becomes of values on their way from SQL to JSON, and of parameters on their way there."""

from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.databases._sql import statement
from tests.servers.databases import Database
from tests.shared.nodes.calls import Keyring, Outside, execute


def ask(kind: str, server: Database, query: str, params: Any = None) -> dict[str, Any]:
    world = Outside(allowed_hosts=server.allowed, credentials=Keyring({"db": (kind, server.values)}))
    return execute(
        "sql_query", {"credential": "db", "read_only": False}, {"query": query, "params": params}, world=world
    )


@pytest.mark.parametrize(
    ("expression", "expected", "type_name"),
    [
        ("NULL::int", None, "int4"),
        ("true", True, "bool"),
        ("9007199254740992::bigint", 9007199254740992, "int8"),
        ("9007199254740993::bigint", "9007199254740993", "int8"),
        ("12.50::numeric", 12.5, "numeric"),
        ("0.1::numeric", 0.1, "numeric"),
        ("0.12345678901234567891::numeric", "0.12345678901234567891", "numeric"),
        ("'NaN'::numeric", "NaN", "numeric"),
        ("'-Infinity'::float8", "-Infinity", "float8"),
        ("1.5::float8", 1.5, "float8"),
        ("date '2026-01-31'", "2026-01-31", "date"),
        ("date 'infinity'", "infinity", "date"),
        ("timestamp '2026-01-31 10:20:30.5'", "2026-01-31T10:20:30.5", "timestamp"),
        ("timestamptz '2026-01-31 10:20:30+02'", "2026-01-31T08:20:30Z", "timestamptz"),
        ("timestamptz '0044-03-15 12:00 BC'", "0044-03-15 12:00:00+00 BC", "timestamptz"),
        ("time '10:20'", "10:20:00", "time"),
        ("interval '1 year 2 months 3 days 4 hours'", "P1Y2M3DT4H", "interval"),
        ("'6f1c1b1e-0000-4000-8000-000000000001'::uuid", "6f1c1b1e-0000-4000-8000-000000000001", "uuid"),
        (r"'\x00ff'::bytea", "AP8=", "bytea"),
        ("""'{"a": [1, null]}'::jsonb""", {"a": [1, None]}, "jsonb"),
        ("'[1]'::json", [1], "json"),
        ("ARRAY[1, NULL, 3]", [1, None, 3], "int4[]"),
        ("ARRAY[ARRAY['a', 'b']]", [["a", "b"]], "text[]"),
        ("ARRAY[1.5::numeric]", [1.5], "numeric[]"),
        ("ARRAY[date '2026-01-31']", ["2026-01-31"], "date[]"),
        ("'10.0.0.0/8'::cidr", "10.0.0.0/8", "cidr"),
        ("int4range(1, 5)", "[1,5)", "int4range"),
        ("point(1, 2)", "(1,2)", "point"),
        ("ROW(1, 'a')", "(1,a)", "record"),
    ],
)
def test_postgres_values(postgres_server: Database, expression: str, expected: Any, type_name: str) -> None:
    made = ask("postgres", postgres_server, f"SELECT {expression} AS v")
    assert made["rows"] == [{"v": expected}]
    assert made["columns"] == [{"name": "v", "type": type_name}]


@pytest.mark.parametrize(
    ("query", "params", "expected"),
    [
        ("SELECT :1::int + :1::int", [2], 4),
        ("SELECT :d::date + 1", {"d": "2026-01-31"}, "2026-02-01"),
        ("SELECT 2 = ANY(:ids)", {"ids": [1, 2]}, True),
        ("SELECT :names::text[]", {"names": ["a", None, "ü"]}, ["a", None, "ü"]),
        ("SELECT (:doc::jsonb) -> 'a' -> 1", {"doc": {"a": [1, {"b": None}]}}, {"b": None}),
        ("SELECT (:doc)::jsonb", {"doc": [1, "x"]}, [1, "x"]),
        ("SELECT '{\"k\": 1}'::jsonb ? 'k' AND :yes", {"yes": True}, True),
        ("SELECT $$ :none ' $$ || :v::text", {"v": "x"}, " :none ' x"),
        ("SELECT $a$ $$ :none $a$", None, " $$ :none "),
        (r"SELECT E'it\'s :none' || :v", {"v": "!"}, "it's :none!"),
        ("SELECT /* a /* :b */ :c */ :v::text", {"v": "x"}, "x"),
        ("SELECT (ARRAY[1, 2, 3])[1:2]", None, [1, 2]),
        ("SELECT 5 % 3 + :1::int", [0], 2),
        ("SELECT coalesce(:v::text, 'none')", {"v": None}, "none"),
        ("SELECT :v::float8", {"v": 1e300}, 1e300),
    ],
)
def test_postgres_parameters(postgres_server: Database, query: str, params: Any, expected: Any) -> None:
    made = ask("postgres", postgres_server, query, params)
    assert list(made["rows"][0].values()) == [expected]


@pytest.mark.parametrize(
    ("expression", "expected", "type_name"),
    [
        ("CAST(NULL AS SIGNED)", None, "bigint"),
        ("9007199254740993", "9007199254740993", "bigint"),
        ("12.50", 12.5, "decimal"),
        ("0.12345678901234567891", "0.12345678901234567891", "decimal"),
        ("1.5e0", 1.5, "double"),
        ("date '2026-01-31'", "2026-01-31", "date"),
        ("timestamp '2026-01-31 10:20:30'", "2026-01-31T10:20:30", "datetime"),
        ("cast('-100:20:30' as time)", "-100:20:30", "time"),
        ("cast(x'00ff' as binary)", "AP8=", "binary"),
        ("b'101' + 0", 5, "bigint"),
    ],
)
def test_mariadb_values(mariadb_server: Database, expression: str, expected: Any, type_name: str) -> None:
    made = ask("mysql", mariadb_server, f"SELECT {expression} AS v")
    assert made["rows"] == [{"v": expected}]
    assert [c["type"].replace("int", "bigint", 1) if c["type"] == "int" else c["type"] for c in made["columns"]] == [
        type_name
    ]


def test_mariadb_columns(mariadb_server: Database) -> None:
    kinds = (
        "a bit(9), b blob, c text, d timestamp NULL, e enum('x', 'y'), f json, g year, h tinyint(1), i set('p', 'q')"
    )
    ask("mysql", mariadb_server, "DROP TABLE IF EXISTS kinds")
    ask("mysql", mariadb_server, f"CREATE TABLE kinds ({kinds})")
    ask(
        "mysql",
        mariadb_server,
        "INSERT INTO kinds VALUES (b'100000001', x'00', 'ü', '2026-01-31 08:00', 'x', :1, 2026, 1, 'p,q')",
        [{"k": [1]}],
    )
    row = ask("mysql", mariadb_server, "SELECT * FROM kinds")["rows"][0]
    assert row.pop("f") in ({"k": [1]}, '{"k": [1]}')  # MariaDB's JSON is text
    assert row == {
        "a": 257,
        "b": "AA==",
        "c": "ü",
        "d": "2026-01-31T08:00:00Z",
        "e": "x",
        "g": 2026,
        "h": 1,
        "i": "p,q",
    }


@pytest.mark.parametrize(
    ("query", "params", "expected"),
    [
        ("SELECT :1 + :1", [2], 4),
        ("SELECT date_add(:d, INTERVAL 1 DAY)", {"d": "2026-01-31"}, "2026-02-01"),
        ("SELECT `:none` FROM (SELECT 1 AS `:none`) AS t LIMIT :n", {"n": 1}, 1),
        ("SELECT 1 # :none\n+ :v", {"v": 1}, 2),
        (r"SELECT concat('it\'s :none', :v)", {"v": "!"}, "it's :none!"),
        ('SELECT concat(":none", :v)', {"v": "!"}, ":none!"),
        ("SELECT 5 % 3 + :1", [0], 2),
        ("SELECT coalesce(:v, 'none')", {"v": None}, "none"),
        ("SELECT :v IS TRUE", {"v": True}, 1),
        ("SELECT 'A' COLLATE utf8mb4_unicode_ci = :v", {"v": "a"}, 1),
        ("SELECT count(*) FROM (SELECT CAST('x' AS CHAR) COLLATE utf8mb4_bin AS c) AS t WHERE c = :v", {"v": "x"}, 1),
    ],
)
def test_mariadb_parameters(mariadb_server: Database, query: str, params: Any, expected: Any) -> None:
    made = ask("mysql", mariadb_server, query, params)
    assert list(made["rows"][0].values()) == [expected]


def test_a_column_of_another_collation_takes_a_parameter(mariadb_server: Database) -> None:
    ask("mysql", mariadb_server, "DROP TABLE IF EXISTS sorted")
    ask("mysql", mariadb_server, "CREATE TABLE sorted (c varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_german2_ci)")
    ask("mysql", mariadb_server, "INSERT INTO sorted VALUES (:1)", ["Größe"])
    assert ask("mysql", mariadb_server, "SELECT c FROM sorted WHERE c = :1", ["größe"])["row_count"] == 1


@pytest.mark.parametrize("dialect", ["postgres", "mysql"])
@pytest.mark.parametrize("query", ["SELECT 'open :a", 'SELECT "open :a', "SELECT 1 /* :a", "SELECT 1 -- :a"])
def test_text_that_does_not_end_is_the_servers_to_refuse(dialect: str, query: str) -> None:
    made = statement(query, {"a": "v"}, dialect)
    assert "v" not in made.text.replace("SELECT", "")
