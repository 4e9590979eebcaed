"""The tools that come with Statewright; files and all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.files.store import FileStore
from shared.nodes.json_schemas import schema_problems
from shared.resources.documents import BuiltinTool
from shared.store.table import TenantTable
from shared.tools.builtin import BUILTINS
from tests.shared.mcp.calls import shelf
from tests.shared.nodes.calls import Outside
from tests.shared.nodes.http_server import Reply, serving
from tests.shared.tools.test_toolbox import called, failure

NOTHING = Outside(resources=shelf())


def test_every_one_can_be_named_in_a_document_and_has_a_schema() -> None:
    for name, builtin in BUILTINS.items():
        assert BuiltinTool(name="x", kind="builtin", builtin=name)
        assert builtin.description.endswith(".")
        assert not list(schema_problems(builtin.input_schema, name))


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("(17.5 * 4 - $power(2, 3)) / 7", 62 / 7),
        ("$round(2 / 3, 2)", 0.67),
        ("$sum([1, 2, 3]) > 5", True),
        ("7 % 4", 3),
    ],
)
def test_it_calculates(expression: str, result: Any) -> None:
    assert called(NOTHING, "calculate", {"expression": expression}) == {"result": result}


def test_the_time() -> None:
    utc, berlin = (called(NOTHING, "current_time", a) for a in ({}, {"time_zone": "Europe/Berlin"}))
    assert abs(datetime.fromisoformat(utc["time"]) - datetime.now(UTC)) < timedelta(seconds=5)
    assert datetime.fromisoformat(berlin["time"]).utcoffset() in (timedelta(hours=1), timedelta(hours=2))
    assert utc["weekday"].endswith("day")


def test_a_page_is_read() -> None:
    with serving([Reply("Grüße".encode(), 200, {"Content-Type": "text/plain; charset=utf-8"})]) as server:
        mine = Outside(resources=shelf(), allowed_hosts=frozenset({server.host}))
        found = called(mine, "fetch_url", {"url": server.url})
    assert found == {"status": 200, "content_type": "text/plain; charset=utf-8", "content": "Grüße"}


def test_files_of_this_tenant_only(tenant, other_tenant) -> None:
    mine, theirs = (Outside(resources=shelf(), files=FileStore(TenantTable(t))) for t in (tenant, other_tenant))
    mine.files.write("notes/a.txt", "Grüße".encode(), "text/plain")
    mine.files.write("notes/b.bin", b"\xff", "application/octet-stream")
    assert called(mine, "list_files", {"prefix": "notes/"}) == {
        "files": [{"path": "notes/a.txt", "size": 7}, {"path": "notes/b.bin", "size": 1}],
        "more": False,
    }
    assert called(mine, "list_files", {"after": "notes/a.txt"})["files"] == [{"path": "notes/b.bin", "size": 1}]
    assert called(mine, "read_file", {"path": "notes/a.txt"}) == {
        "path": "notes/a.txt",
        "text": "Grüße",
        "size": 7,
        "complete": True,
    }
    assert called(mine, "read_file", {"path": "notes/b.bin"})["text"] == "\ufffd"
    assert called(theirs, "list_files")["files"] == []
    assert failure(theirs, "read_file", {"path": "notes/a.txt"}).error == "FileNotFound"


@pytest.mark.parametrize(
    ("name", "args", "error"),
    [
        ("calculate", {}, "InvalidArguments"),
        ("calculate", {"expression": 7}, "InvalidArguments"),
        ("calculate", {"expression": "1 +"}, "ExpressionError"),
        ("calculate", {"expression": "$eval('1')"}, "ExpressionError"),
        ("calculate", {"expression": "x" * 2_001}, "InvalidArguments"),
        ("current_time", {"time_zone": "Mars/Olympus"}, "InvalidArguments"),
        ("current_time", {"time_zone": "../../etc/passwd"}, "InvalidArguments"),
        ("fetch_url", {"url": "file:///etc/passwd"}, "InvalidInput"),
        ("fetch_url", {"url": "http://169.254.169.254/"}, "BlockedAddress"),
        ("list_files", {"prefix": 7}, "InvalidArguments"),
    ],
)
def test_bad_arguments(name: str, args: dict[str, Any], error: str) -> None:
    assert failure(NOTHING, name, args).error == error


@pytest.mark.parametrize("path", ["", "../a", "/a", "a//b"])
def test_bad_paths(tenant, path: str) -> None:
    mine = Outside(resources=shelf(), files=FileStore(TenantTable(tenant)))
    assert failure(mine, "read_file", {"path": path}).error in ("InvalidInput", "FileNotFound")
