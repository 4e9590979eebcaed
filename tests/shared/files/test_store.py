from typing import Any

import pytest

from shared.aws.clients import client
from shared.errors import Invalid, NotFound, TooLarge
from shared.files.rules import MAX_BYTES, check_size
from shared.files.store import FileStore
from shared.settings import settings
from shared.store.table import TenantTable


@pytest.fixture
def files(tenant) -> FileStore:
    return FileStore(TenantTable(tenant))


def objects() -> dict[str, str]:
    """Every object in the bucket of files: its key and content type."""
    s3, bucket = client("s3"), settings().files_bucket
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {key: s3.head_object(Bucket=bucket, Key=key)["ContentType"] for key in keys}


def test_a_file_is_written_over_and_read(files, tenant):
    assert files.write("reports/july.csv", b"one", "text/csv; charset=utf-8") == "reports/july.csv"
    assert files.write("reports/july.csv", b"two", "text/csv") == "reports/july.csv"
    assert files.read("reports/july.csv") == b"two"
    assert objects() == {f"{tenant.id}/reports/july.csv": "text/csv"}


def test_one_name_written_in_two_ways_is_one_file(files):
    assert files.write("re\u0301sume\u0301.txt", b"1", "text/plain") == "résumé.txt"
    assert files.read("résumé.txt") == files.read("re\u0301sume\u0301.txt") == b"1"
    assert len(objects()) == 1


@pytest.mark.parametrize(
    "path", ["a", "a b", " a", "...", "a/.b/c..", "日本/語", "a%2e%2e/b", "a?b=c#d", "x" * 512, "~"]
)
def test_a_good_path_is_kept_as_it_is(files, path: str):
    assert files.write(path, path.encode(), "text/plain") == path
    assert files.read(path) == path.encode()


@pytest.mark.parametrize(
    "path",
    [
        *("", None, 5, ["a"], True, "\ud800"),
        *("/a", "//a", "..", ".", "../a", "a/../b", "a/..", "./a", "a/./b", "a//b", "a/", "a\\b"),
        *("a\0b", "a\nb", "a\u2028b", "\x7f", "a\u0085b", "x" * 513, "é" * 257),
    ],
)
def test_a_bad_path_is_refused(files, path: Any):
    for call in (lambda: files.write(path, b"", "text/plain"), lambda: files.read(path)):
        with pytest.raises(Invalid) as caught:
            call()
        assert caught.value.code == "bad_path"
    assert objects() == {}


@pytest.mark.parametrize(
    "kind", ["", "text", "text/", "/plain", "text/plain\r\nX-A: b", "text/plain;", "a/b c", "é/b", "a/" + "b" * 200]
)
def test_a_bad_content_type_is_refused(files, kind: str):
    with pytest.raises(Invalid) as caught:
        files.write("a", b"", kind)
    assert (caught.value.code, objects()) == ("bad_content_type", {})


@pytest.mark.parametrize(
    "kind", ["image/svg+xml", "application/vnd.ms-excel", 'multipart/mixed; boundary="a b"', "text/html;charset=utf-8"]
)
def test_a_good_content_type_is_kept(files, tenant, kind: str):
    files.write("a", b"", kind)
    assert objects() == {f"{tenant.id}/a": kind}


def test_a_file_too_large_is_refused(files):
    check_size(MAX_BYTES)
    with pytest.raises(TooLarge, match="50,000,000 bytes"):
        files.write("a", bytes(MAX_BYTES + 1), "text/plain")
    assert objects() == {}


def test_another_tenants_files_are_not_there(files, tenant, other_tenant):
    theirs = FileStore(TenantTable(other_tenant))
    files.write("a", b"mine", "text/plain")
    for path in ("a", f"{tenant.id}/a"):
        with pytest.raises(NotFound):
            theirs.read(path)
    with pytest.raises(Invalid):
        theirs.read(f"../{tenant.id}/a")
    theirs.write("a", b"theirs", "text/plain")
    theirs.write(f"{tenant.id}/a", b"theirs", "text/plain")
    assert (files.read("a"), theirs.read("a")) == (b"mine", b"theirs")
