"""`sql_query` at a real PostgreSQL and a real MariaDB."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest

from shared.nodes.base import Effect, NodeError
from shared.nodes.registry import get
from tests.servers.databases import Database
from tests.servers.process import free_port
from tests.shared.nodes.calls import Keyring, Outside, call, execute

KINDS = ["postgres", "mysql"]


class Site:
    """A database of one kind and a world in which nodes may reach it."""

    def __init__(self, kind: str, server: Database) -> None:
        self.kind = kind
        self.server = server

    def world(self, **changed: Any) -> Outside:
        keys = Keyring({"db": (self.kind, {**self.server.values, **changed}), "key": ("bearer", {"token": "t"})})
        return Outside(allowed_hosts=self.server.allowed, credentials=keys)

    def ask(self, query: Any, params: Any = None, *, changed: Any = None, timeout_seconds: float = 20, **config: Any):
        inputs = {"query": query, "params": params}
        settings = {"credential": "db", **config}
        world = self.world(**(changed or {}))
        return execute("sql_query", settings, inputs, world=world, timeout_seconds=timeout_seconds)

    def write(self, query: str, params: Any = None, **config: Any) -> dict[str, Any]:
        return self.ask(query, params, read_only=False, **config)

    def failure(self, *args: Any, **config: Any) -> NodeError:
        with pytest.raises(NodeError) as caught:
            self.ask(*args, **config)
        return caught.value


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest) -> Site:
    server = request.getfixturevalue({"postgres": "postgres_server", "mysql": "mariadb_server"}[request.param])
    made = Site(request.param, server)
    made.write("DROP TABLE IF EXISTS orders")
    made.write("CREATE TABLE orders (id integer PRIMARY KEY, name varchar(100), total decimal(30,2), note text)")
    return made


def fill(site: Site, count: int) -> None:
    for i in range(1, count + 1):
        site.write("INSERT INTO orders (id, name, total) VALUES (:1, :2, :3)", [i, f"Ä{i}", i + 0.5])


def test_rows_come_with_columns_and_count(site: Site) -> None:
    fill(site, 2)
    made = site.ask("SELECT id, name, total FROM orders WHERE id >= :least ORDER BY id", {"least": 1, "unused": 2})
    assert made["rows"] == [{"id": 1, "name": "Ä1", "total": 1.5}, {"id": 2, "name": "Ä2", "total": 2.5}]
    assert made["row_count"] == 2
    assert made["truncated"] is False
    assert [c["name"] for c in made["columns"]] == ["id", "name", "total"]
    types = {"postgres": ["int4", "varchar", "numeric"], "mysql": ["int", "varchar", "decimal"]}
    assert [c["type"] for c in made["columns"]] == types[site.kind]


def test_no_rows_still_have_columns(site: Site) -> None:
    made = site.ask("SELECT id AS nr, id AS nr, id AS nr_2 FROM orders")
    assert (made["rows"], made["row_count"]) == ([], 0)
    assert [c["name"] for c in made["columns"]] == ["nr", "nr_3", "nr_2"]


def test_a_change_is_committed_and_counted(site: Site) -> None:
    fill(site, 3)
    made = site.write("UPDATE orders SET note = :note WHERE id > :id", {"note": "x", "id": 1})
    assert (made["rows"], made["row_count"], made["columns"]) == ([], 2, [])
    assert site.ask("SELECT count(*) AS n FROM orders WHERE note = 'x'")["rows"] == [{"n": 2}]
    assert site.write("DELETE FROM orders WHERE id = 3 RETURNING id, name")["rows"] == [{"id": 3, "name": "Ä3"}]
    assert site.write("WITH old AS (SELECT 1 AS id) SELECT id FROM old")["rows"] == [{"id": 1}]


@pytest.mark.parametrize(
    "value",
    ["'; DROP TABLE orders; --", "a\\'b", 'quo"te', "%s %(x)s", ":name", "$1 ?", "ÄÖ\n\t😀", "", "\\", "' OR 1=1"],
)
def test_values_are_bound_whatever_they_hold(site: Site, value: str) -> None:
    site.write("INSERT INTO orders (id, note) VALUES (:id, :note)", {"id": 1, "note": value})
    found = site.ask("SELECT id, note FROM orders WHERE note = :note", {"note": value})
    assert found["rows"] == [{"id": 1, "note": value}]


def test_a_placeholder_is_none_inside_texts_and_comments(site: Site) -> None:
    query = (
        "SELECT ':a' AS x, ' it''s :b ' AS y, :v AS z -- :c\n"
        "/* :d */ FROM orders RIGHT JOIN (SELECT 1 AS one) AS t ON orders.id = :v2"
    )
    made = site.ask(query, {"v": "val", "v2": 5})
    assert made["rows"] == [{"x": ":a", "y": " it's :b ", "z": "val"}]


@pytest.mark.parametrize(
    ("query", "params", "said"),
    [
        (None, None, "query"),
        (5, None, "query"),
        ("  ", None, "query"),
        ("-- nothing", None, "no statement"),
        ("SELECT 1\x00", None, "character"),
        ("SELECT :a", None, ":a"),
        ("SELECT :a", {"b": 1}, ":a"),
        ("SELECT :a", [1], ":a"),
        ("SELECT :1", {"a": 1}, ":1"),
        ("SELECT :2, :1", [1], ":2"),
        ("SELECT :1", [1, 2], ":2"),
        ("SELECT 1", "text", "params"),
        ("SELECT 1", 5, "params"),
    ],
)
def test_bad_input(site: Site, query: Any, params: Any, said: str) -> None:
    error = site.failure(query, params)
    assert (error.error, error.retryable) == ("InvalidInput", False)
    assert said in error.message


def test_read_only_is_the_servers_word(site: Site) -> None:
    fill(site, 1)
    attempts = [
        "INSERT INTO orders (id) VALUES (9)",
        "UPDATE orders SET id = 9",
        "DELETE FROM orders",
        "DROP TABLE orders",
        "CREATE TABLE made (id integer)",
        "TRUNCATE TABLE orders",
        "COMMIT; DELETE FROM orders",
        "SELECT 1; DELETE FROM orders",
    ]
    for query in attempts:
        assert site.failure(query).error in ("ReadOnly", "QueryFailed"), query
    for query in ("COMMIT", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "SET autocommit = 0"):
        with suppress(NodeError):  # one of the two servers knows it
            site.ask(query)
        assert site.failure("DELETE FROM orders").error == "ReadOnly"
    assert site.ask("SELECT count(*) AS n FROM orders")["rows"] == [{"n": 1}]


def test_one_statement_at_a_time(site: Site) -> None:
    fill(site, 1)
    error = site.failure("SELECT 1; DELETE FROM orders", read_only=False)
    assert error.error == "QueryFailed"
    assert site.ask("SELECT count(*) AS n FROM orders")["rows"] == [{"n": 1}]


def test_more_rows_than_wanted(site: Site) -> None:
    fill(site, 3)
    query = "SELECT id FROM orders ORDER BY id"
    assert site.failure(query, max_rows=2).error == "TooManyRows"
    cut = site.ask(query, max_rows=2, when_more="cut")
    assert (cut["rows"], cut["row_count"], cut["truncated"]) == ([{"id": 1}, {"id": 2}], 2, True)
    assert site.ask(query, max_rows=3)["truncated"] is False
    assert site.failure("DELETE FROM orders RETURNING id", read_only=False, max_rows=2).error == "TooManyRows"
    assert site.ask(query)["row_count"] == 3  # what failed changed nothing


def test_a_change_that_gives_more_rows_than_wanted_is_whole(site: Site) -> None:
    fill(site, 1)
    many = {
        "postgres": "INSERT INTO orders (id) SELECT i FROM generate_series(2, 30000) AS i RETURNING id",
        "mysql": "INSERT INTO orders (id) SELECT seq FROM seq_2_to_30000 RETURNING id",
    }
    made = site.write(many[site.kind], max_rows=2, when_more="cut")
    assert (made["row_count"], made["truncated"]) == (2, True)
    assert site.ask("SELECT count(*) AS n FROM orders")["rows"] == [{"n": 30000}]


@pytest.mark.parametrize("when_more", ["cut", "fail"])
def test_rows_beyond_the_cap_are_not_waited_for(site: Site, when_more: str) -> None:
    endless = {
        "postgres": "SELECT generate_series(1, 50000000) AS a, repeat('x', 100) AS b",
        "mysql": "SELECT a.seq, repeat('x', 100) AS b FROM seq_1_to_50000 AS a, seq_1_to_1000 AS b",
    }
    started = time.monotonic()
    if when_more == "cut":
        assert site.ask(endless[site.kind], max_rows=5, when_more="cut")["row_count"] == 5
    else:
        assert site.failure(endless[site.kind], max_rows=5).error == "TooManyRows"
    assert time.monotonic() - started < 8
    assert site.ask("SELECT 1 AS x")["rows"] == [{"x": 1}]


def test_rows_that_are_too_large(site: Site) -> None:
    error = site.failure("SELECT repeat('x', 15000000) AS a UNION ALL SELECT repeat('y', 15000000)")
    assert error.error == "ResponseTooLarge"


SLEEP = {"postgres": "SELECT pg_sleep(30)", "mysql": "SELECT sleep(30) FROM (SELECT 1) AS t WHERE sleep(30) = 0"}


def test_the_server_stops_what_takes_too_long(site: Site) -> None:
    started = time.monotonic()
    error = _timed(site, {"timeout_seconds": 0.3}, 20)
    assert error.error == "Timeout"
    assert "0.3" in error.message
    assert time.monotonic() - started < 5


def test_the_nodes_own_time_out_ends_it_at_the_server_too(site: Site) -> None:
    started = time.monotonic()
    assert _timed(site, {}, 0.5).error == "Timeout"
    assert time.monotonic() - started < 5
    assert not _running(site)


def _timed(site: Site, config: dict[str, Any], timeout_seconds: float) -> NodeError:
    made = {"credential": "db", **config}
    inputs = {"query": SLEEP[site.kind]}
    with pytest.raises(NodeError) as caught:
        execute("sql_query", made, inputs, world=site.world(), timeout_seconds=timeout_seconds)
    return caught.value


def _running(site: Site, wanted: bool = False) -> bool:
    """Whether the statement is at work, after waiting for what is wanted."""
    own = {
        "postgres": "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active' "
        "AND pid <> pg_backend_pid()",
        "mysql": "SELECT id FROM information_schema.processlist WHERE state LIKE '%sleep%'",
    }
    deadline = time.monotonic() + 5
    while (found := bool(site.ask(own[site.kind])["rows"])) is not wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def test_a_cancelled_call_leaves_nothing_running(site: Site) -> None:
    node = get("sql_query")
    assert isinstance(node, Effect)

    async def begin_and_cancel() -> None:
        inputs = {"query": SLEEP[site.kind]}
        made = call("sql_query", {"credential": "db"}, inputs, world=site.world())
        task = asyncio.create_task(node.execute(made))
        assert await asyncio.to_thread(_running, site, True)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(begin_and_cancel())
    assert not _running(site)


def test_constraints_and_faults_in_the_statement(site: Site) -> None:
    fill(site, 1)
    made = site.failure("INSERT INTO orders (id, note) VALUES (1, :n)", {"n": "hush"}, read_only=False)
    assert (made.error, made.retryable) == ("ConstraintViolation", False)
    assert "hush" not in made.message
    for query in ("SELEC 1", "SELECT * FROM nowhere", "SELECT nothing FROM orders"):
        made = site.failure(query)
        assert (made.error, made.retryable) == ("QueryFailed", False), query
    assert "nothing" in made.message
    denied = {"postgres": "SELECT * FROM pg_authid", "mysql": "SELECT * FROM mysql.global_priv"}
    assert site.failure(denied[site.kind]).error == "PermissionDenied"


def test_who_may_not_sign_in(site: Site) -> None:
    for changed in ({"password": "wrong-word"}, {"username": "nobody"}, {"database": "none"}):
        error = site.failure("SELECT 1", changed=changed)
        assert (error.error, error.retryable) == ("AuthenticationFailed", False), changed
        assert "wrong-word" not in error.message


def test_servers_that_are_not_there(site: Site) -> None:
    nowhere = free_port()
    world = site.world(port=nowhere)
    world.allowed_hosts = frozenset({f"127.0.0.1:{nowhere}"})
    with pytest.raises(NodeError) as caught:
        execute("sql_query", {"credential": "db"}, {"query": "SELECT 1"}, world=world)
    assert (caught.value.error, caught.value.retryable) == ("ConnectionFailed", True)
    assert site.failure("SELECT 1", changed={"host": "nowhere.invalid"}).error == "DnsError"
    for host in ("127.0.0.2", "169.254.169.254", "::ffff:127.0.0.1", "2130706433", "/var/run/postgresql"):
        error = site.failure("SELECT 1", changed={"host": host})
        assert error.error in ("BlockedAddress", "DnsError"), host


def test_credentials_of_other_kinds(site: Site) -> None:
    for name, error in (("key", "WrongCredential"), ("none", "CredentialNotFound")):
        with pytest.raises(NodeError) as caught:
            execute("sql_query", {"credential": name}, {"query": "SELECT 1"}, world=site.world())
        assert caught.value.error == error


def test_tls(site: Site) -> None:
    ca = site.server.ca
    assert site.ask("SELECT 1 AS x", changed={"tls": "require"})["rows"] == [{"x": 1}]
    assert site.ask("SELECT 1 AS x", changed={"tls": "verify", "host": "localhost", "ca": ca})["rows"] == [{"x": 1}]
    for changed in ({"tls": "verify"}, {"tls": "verify", "ca": ca}, {"tls": "verify", "host": "localhost"}):
        assert site.failure("SELECT 1", changed=changed).error == "ConnectionFailed"  # no trust, or another name
    assert site.failure("SELECT 1", changed={"tls": "verify", "ca": "no pem"}).error == "InvalidInput"


def test_a_connection_is_used_again_without_what_was_left_in_it(site: Site) -> None:
    leave = {"postgres": "SELECT set_config('app.note', 'left', false)", "mysql": "SELECT @note := 'left'"}
    look = {
        "postgres": "SELECT pg_backend_pid() AS id, current_setting('app.note', true) AS note",
        "mysql": "SELECT connection_id() AS id, @note AS note",
    }
    seen = _in_one_loop(site, [look[site.kind], leave[site.kind], look[site.kind]])
    assert seen[0]["rows"][0]["id"] == seen[2]["rows"][0]["id"]
    assert not seen[2]["rows"][0]["note"]


def test_a_connection_that_died_is_made_anew(site: Site) -> None:
    own = {"postgres": "SELECT pg_backend_pid() AS id", "mysql": "SELECT connection_id() AS id"}[site.kind]
    node = get("sql_query")
    assert isinstance(node, Effect)

    async def work() -> tuple[int, int]:
        def made(query: str) -> Any:
            return call("sql_query", {"credential": "db"}, {"query": query}, world=site.world())

        first = (await node.execute(made(own)))["rows"][0]["id"]
        kill = {"postgres": f"SELECT pg_terminate_backend({first})", "mysql": f"KILL {first}"}[site.kind]
        await asyncio.to_thread(site.write, kill)
        return first, (await node.execute(made(own)))["rows"][0]["id"]

    first, second = asyncio.run(work())
    assert first != second


def _in_one_loop(site: Site, queries: list[str]) -> list[dict[str, Any]]:
    node = get("sql_query")
    assert isinstance(node, Effect)
    world = site.world()

    async def all_of_them() -> list[dict[str, Any]]:
        return [await node.execute(call("sql_query", {"credential": "db"}, {"query": q}, world=world)) for q in queries]

    return asyncio.run(all_of_them())


def test_many_at_once_do_not_get_in_each_others_way(site: Site) -> None:
    node = get("sql_query")
    assert isinstance(node, Effect)
    world = site.world()

    async def all_of_them() -> list[Any]:
        inputs = [{"query": "SELECT :n + 0 AS n", "params": {"n": n}} for n in range(12)]
        calls = [call("sql_query", {"credential": "db"}, each, world=world) for each in inputs]
        made = await asyncio.gather(*(node.execute(each) for each in calls))
        assert [each.usage["rows"] for each in calls] == [1] * 12
        return [each["rows"][0]["n"] for each in made]

    assert asyncio.run(all_of_them()) == list(range(12))
