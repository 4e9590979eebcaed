from __future__ import annotations

import base64
import csv
import io
import json
from typing import Any

import pytest

from shared.aws.clients import client
from shared.files.store import FileStore
from shared.nodes.base import NodeError
from shared.settings import settings
from shared.store.table import TenantTable
from tests.shared.nodes.calls import Outside, execute
from tests.stepfunctions.engine.faults import Strike, Wire, unavailable

TEXT = "text/plain; charset=utf-8"
CSV = "text/csv; charset=utf-8"
BYTES = bytes(range(256))


@pytest.fixture
def world(tenant) -> Outside:
    return Outside(files=FileStore(TenantTable(tenant)))


def content_type(world: Outside, path: str) -> str:
    del world
    bucket = settings().files_bucket
    [key] = [o["Key"] for o in client("s3").list_objects_v2(Bucket=bucket)["Contents"] if o["Key"].endswith(path)]
    return str(client("s3").head_object(Bucket=bucket, Key=key)["ContentType"])


def write(world: Outside, content: Any, path: Any = "dir/file", **config: Any) -> dict[str, Any]:
    return execute("file_write", config, {"path": path, "content": content}, world=world)


@pytest.mark.parametrize(
    ("config", "content", "body", "kind"),
    [
        ({}, "text é", "text é".encode(), TEXT),
        ({}, "", b"", TEXT),
        ({}, {"a": [1, "é"]}, '{"a": [1, "é"]}'.encode(), "application/json"),
        ({}, None, b"null", "application/json"),
        ({"format": "text"}, 12.5, b"12.5", TEXT),
        ({"format": "text"}, True, b"true", TEXT),
        ({"format": "json"}, "text", b'"text"', "application/json"),
        ({"format": "base64"}, base64.b64encode(BYTES).decode(), BYTES, "application/octet-stream"),
        ({"format": "base64"}, base64.encodebytes(BYTES).decode(), BYTES, "application/octet-stream"),
        ({"format": "base64"}, {"base64": "AAE=", "content_type": "image/png", "size": 2}, b"\0\1", "image/png"),
        ({"format": "base64"}, {"base64": "", "content_type": None}, b"", "application/octet-stream"),
        ({"format": "csv"}, [], b"", CSV),
        ({"format": "csv"}, [{}, {}], b"", CSV),
        ({"format": "csv"}, [{"a": 1, "b": "x"}, {"b": None, "c": True}], b"a,b,c\r\n1,x,\r\n,,true\r\n", CSV),
        ({"format": "csv"}, [{"a": 'q"', "b": "1,2\n3"}], b'a,b\r\n"q""","1,2\n3"\r\n', CSV),
        ({"format": "csv"}, [{"a": {"x": [1]}}], b'a\r\n"{""x"": [1]}"\r\n', CSV),
        ({"content_type": "text/html"}, "<p>", b"<p>", "text/html"),
        ({"content_type": ""}, "x", b"x", TEXT),
        ({"format": "base64", "content_type": "a/b"}, {"base64": "AAE=", "content_type": "c/d"}, b"\0\1", "a/b"),
    ],
)
def test_a_file_holds_what_it_is_given(world: Outside, config: dict[str, Any], content: Any, body: bytes, kind: str):
    for _ in range(2):
        assert write(world, content, **config) == {"written": True, "path": "dir/file", "size": len(body)}
        assert world.files.read("dir/file") == body
        assert content_type(world, "dir/file") == kind


def test_csv_is_read_by_others_as_it_was_meant(world: Outside) -> None:
    rows = [{"name": n, "note": n[::-1]} for n in ("", " ", "a,b", '"', "\r", "\n", "\r\n", "é\t", "=1+1", "'")]
    write(world, rows, "a.csv", format="csv")
    assert list(csv.DictReader(io.StringIO(world.files.read("a.csv").decode(), newline=""))) == rows


def test_the_path_is_given_as_it_is_kept(world: Outside) -> None:
    assert write(world, "x", "re\u0301.txt")["path"] == "ré.txt"


@pytest.mark.parametrize(
    ("config", "content", "said"),
    [
        ({"format": "text"}, {"a": "secret"}, "text"),
        ({"format": "text"}, ["secret"], "text"),
        ({"format": "text"}, None, "text"),
        ({"format": "csv"}, "secret", "array of objects"),
        ({"format": "csv"}, {"a": "secret"}, "array of objects"),
        ({"format": "csv"}, [{"a": 1}, "secret"], "number 1 is none"),
        ({"format": "csv"}, [["secret"]], "number 0 is none"),
        ({"format": "base64"}, "secret!", "base64"),
        ({"format": "base64"}, "AAE", "base64"),
        ({"format": "base64"}, "é===", "base64"),
        ({"format": "base64"}, 5, "base64"),
        ({"format": "base64"}, None, "base64"),
        ({"format": "base64"}, {"data": "secret"}, "base64"),
        ({}, "\ud800", "Unicode"),
        ({}, {"a": float("nan")}, "JSON"),
        ({"content_type": "secret"}, "x", "content type"),
        ({"content_type": "text/plain\r\nX-A: b"}, "x", "content type"),
    ],
)
def test_bad_content_fails_at_once(world: Outside, config: dict[str, Any], content: Any, said: str) -> None:
    with pytest.raises(NodeError) as caught:
        write(world, content, **config)
    assert (caught.value.error, caught.value.retryable) == ("InvalidInput", False)
    assert said in caught.value.message
    assert "secret" not in caught.value.message
    assert "Contents" not in client("s3").list_objects_v2(Bucket=settings().files_bucket)


@pytest.mark.parametrize("path", ["", None, 5, "/a", "../a", "a/../b", "a//b", "a\0", "x" * 513])
def test_a_bad_path_fails_at_once(world: Outside, path: Any) -> None:
    with pytest.raises(NodeError) as caught:
        write(world, "x", path)
    assert (caught.value.error, caught.value.retryable) == ("InvalidInput", False)
    assert "path" in caught.value.message


def test_a_table_that_would_be_far_too_large_is_not_even_begun(world: Outside) -> None:
    rows = [{f"column{n}": n} for n in range(8_000)]
    assert len(json.dumps(rows)) < 1_000_000
    with pytest.raises(NodeError) as caught:
        write(world, rows, format="csv")
    assert (caught.value.error, caught.value.retryable) == ("TooLarge", False)


def test_a_store_that_is_down_is_worth_another_attempt(world: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    write(world, "x")
    wire = Wire(monkeypatch)
    wire.reset(Strike(1, "after", unavailable))  # the first call takes room, the second writes
    with pytest.raises(NodeError) as caught:
        write(world, "x")
    assert (caught.value.error, caught.value.retryable) == ("Unavailable", True)
    assert write(world, "x")["written"] is True
