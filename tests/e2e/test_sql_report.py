"""A report from two real databases: rows, sums, a text and a file of it, read back through the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.caller import Caller
from tests.e2e.test_cache_and_files import fetched
from tests.servers.databases import Database
from tests.stepfunctions.compiler.documents import document, node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
REPORT = "{% for row in rows %}{{ row.day }} {{ row.item }} {{ row.total }}\n{% endfor %}sum {{ sum }}\n"


def report(kind: str) -> dict[str, Any]:
    database = {"credential": f"report_{kind}"}
    rows = "SELECT day, item, total FROM e2e_sales WHERE day >= :since ORDER BY day"
    return document(
        [
            node("start", "manual_trigger"),
            node(
                "table",
                "sql_query",
                {**database, "read_only": False},
                inputs={
                    "query": "CREATE TABLE IF NOT EXISTS e2e_sales (day date, item varchar(20), total decimal(9,2))"
                },
            ),
            node(
                "fill",
                "sql_query",
                {**database, "read_only": False},
                inputs={
                    "query": "INSERT INTO e2e_sales VALUES (:a, :b, 10.5), (:c, :d, 2)",
                    "params": "{{ nodes.table ? trigger.sales }}",
                },
            ),
            node(
                "rows",
                "sql_query",
                database,
                inputs={"query": rows, "params": "{{ nodes.fill ? {'since': trigger.since} }}"},
            ),
            node("sum", "aggregator", {"operation": "sum", "field": "total"}),
            node(
                "text",
                "template",
                {"engine": "jinja2", "template": REPORT},
                inputs={"vars": "{{ {'rows': nodes.rows.rows, 'sum': nodes.sum.output} }}"},
            ),
            node("file", "file_write", {"format": "text"}, inputs={"path": f"reports/{kind}.txt"}),
            node(
                "refused",
                "sql_query",
                database,
                inputs={"query": "DELETE FROM e2e_sales", "params": "{{ nodes.rows ? {} }}"},
            ),
            node("path", "output"),
            node("why", "output"),
        ],
        "rows.rows -> sum.inputs; text.output -> file.content; file.path -> path.value; refused.error -> why.value",
    )


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_report_is_written_from_a_database(mine: Caller, kind: str, request: pytest.FixtureRequest) -> None:
    server: Database = request.getfixturevalue({"postgres": "postgres_server", "mysql": "mariadb_server"}[kind])
    mine.post("/credentials", {"name": f"report_{kind}", "kind": kind, "values": server.values}, 201)
    tried = mine.post(f"/credentials/report_{kind}/test", {}, 200)
    assert tried["outcome"] == "ok", tried
    sales = {"a": "2026-01-30", "b": "lamp'; --", "c": "2026-01-31", "d": "Sofa Ü"}
    ended = mine.until(mine.start(report(kind), {"sales": sales, "since": "2026-01-30"}))
    assert ended["status"] == "completed", ended["error"]
    text = fetched(mine, f"reports/{kind}.txt").decode()
    assert text.splitlines() == ["2026-01-30 lamp'; -- 10.5", "2026-01-31 Sofa Ü 2", "sum 12.5"]
    assert "ReadOnly" in str(ended["final_output"])
