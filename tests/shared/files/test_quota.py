"""A tenant's files take so much room, and no more; who removes some has room again."""

from __future__ import annotations

import pytest

from shared.clock import now_ms
from shared.errors import TooLarge, Unavailable
from shared.files import quota
from shared.files.store import FileStore
from shared.nodes.base import NodeError
from shared.store.table import TenantTable
from tests.shared.nodes.calls import Outside, execute
from tests.shared.usage.allowing import allow


@pytest.fixture
def files(tenant, monkeypatch) -> FileStore:
    allow(tenant, storage_bytes=1_000, files=5)
    monkeypatch.setattr(quota, "_PAGE", 2)
    return FileStore(TenantTable(tenant))


@pytest.fixture
def later(monkeypatch):
    def go(seconds: float) -> None:
        at = now_ms() + round(seconds * 1000)
        monkeypatch.setattr(quota, "now_ms", lambda: at)

    return go


def refused(files: FileStore, size: int, path: str = "more") -> TooLarge:
    with pytest.raises(TooLarge) as caught:
        files.write(path, b"x" * size, "text/plain")
    assert caught.value.code == "quota_exceeded"
    return caught.value


def test_bytes_are_full_at_some_time(files):
    for n in range(4):
        files.write(f"{n}", b"x" * 250, "text/plain")
    error = refused(files, 1)
    assert "1,000 bytes in 4" in error.detail
    with pytest.raises(TooLarge):
        files.upload_link("more", "text/plain", 1)


def test_files_are_too_many_at_some_time(files):
    for n in range(5):
        files.write(f"{n}", b"", "text/plain")
    refused(files, 0)


def test_a_link_to_upload_takes_room(files):
    files.upload_link("a", "text/plain", 900)
    refused(files, 200)


def test_who_removes_has_room_again_within_a_minute(files, later):
    files.write("a", b"x" * 600, "text/plain")
    files.write("b", b"x" * 400, "text/plain")
    files.delete("a")
    refused(files, 500)
    later(61)
    files.write("c", b"x" * 500, "text/plain")
    refused(files, 200)


def test_a_file_that_is_written_over_counts_once_in_the_end(files, later):
    for _ in range(4):
        files.write("a", b"x" * 250, "text/plain")
    refused(files, 250, "a")
    later(61)
    files.write("a", b"x" * 250, "text/plain")


def test_what_was_there_before_anybody_counted_counts(files, tenant):
    files._objects.put("old", b"x" * 800)
    refused(files, 300)
    files.write("a", b"x" * 200, "text/plain")


def test_room_that_a_failed_write_has_taken_comes_back(files, later, monkeypatch):
    def fails(*_args, **_more):
        raise Unavailable("no")

    files.write("a", b"x" * 100, "text/plain")
    monkeypatch.setattr(files._objects, "put", fails)
    with pytest.raises(Unavailable):
        files.write("b", b"x" * 800, "text/plain")
    monkeypatch.undo()
    refused(files, 200)
    later(61)
    files.write("b", b"x" * 800, "text/plain")


def test_what_others_reserve_while_one_counts_is_kept(files, later, monkeypatch):
    files.write("a", b"x" * 500, "text/plain")
    later(3_700)
    page = files._objects.page

    def meanwhile(*args):
        files._table.update(files._table.keys.files_used(), quota.Change(add={"bytes": 400, "files": 1}))
        return page(*args)

    monkeypatch.setattr(files._objects, "page", meanwhile)
    refused(files, 200)


def test_one_tenants_files_take_no_room_of_anothers(files, other_tenant):
    files.write("a", b"x" * 1_000, "text/plain")
    FileStore(TenantTable(other_tenant)).write("a", b"x" * 1_000, "text/plain")


def test_a_node_is_told(files):
    made = {"path": "more", "content": "x" * 2_000}
    with pytest.raises(NodeError) as caught:
        execute("file_write", {}, made, world=Outside(files=files))
    assert (caught.value.error, caught.value.retryable) == ("QuotaExceeded", False)


def test_an_operator_gives_a_tenant_less_or_more(files, tenant, other_tenant):
    files.write("a", b"x" * 900, "text/plain")
    allow(tenant, storage_bytes=2_000)
    files.write("b", b"x" * 1_000, "text/plain")
    allow(tenant, storage_bytes=0)
    refused(files, 1)
    allow(tenant, storage_bytes=5_000, files=2)
    refused(files, 0)
    allow(other_tenant, files=0)
    with pytest.raises(TooLarge):
        FileStore(TenantTable(other_tenant)).write("a", b"", "text/plain")


def test_the_api_says_so(api_client, tenant):
    allow(tenant, storage_bytes=1_000)
    body = {"path": "a", "content_type": "text/plain", "size": 2_000}
    answer = api_client.post("/files/upload", json=body)
    assert (answer.status_code, answer.json()["code"]) == (413, "quota_exceeded")
