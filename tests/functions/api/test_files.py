"""The tenant's files over HTTP; the presigned addresses are followed on moto."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from shared.aws.clients import client
from shared.files.store import FileStore
from shared.settings import settings
from shared.store.table import TenantTable
from tests import http_api
from tests.functions.api.test_webhooks import key_with


@pytest.fixture
def files(tenant) -> FileStore:
    return FileStore(TenantTable(tenant))


def upload(api_client, path: str, body: bytes, content_type: str = "text/plain") -> None:
    asked = {"path": path, "size": len(body), "content_type": content_type}
    answer = api_client.post("/files/upload", json=asked)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert requests.put(found["url"], data=body, headers=found["headers"], timeout=10).status_code == 200


def paths(api_client, **query: str) -> list[str]:
    answer = api_client.get("/files", params=query)
    assert answer.status_code == 200, answer.text
    return [f["path"] for f in answer.json()["items"]]


def test_a_file_goes_in_and_comes_out_and_goes_away(api_client, files):
    upload(api_client, "in/résumé 1.txt", b"hello")
    [found] = api_client.get("/files").json()["items"]
    assert (found["path"], found["size"]) == ("in/résumé 1.txt", 5)
    assert found["changed_at"].endswith("Z")
    assert files.read("in/résumé 1.txt") == b"hello"
    got = api_client.get("/files/download", params={"path": "in/re\u0301sume\u0301 1.txt"}).json()
    assert {k: got[k] for k in found} == found
    answer = requests.get(got["url"], timeout=10)
    assert (answer.content, answer.headers["content-type"]) == (b"hello", "text/plain")
    assert "response-content-disposition=attachment" in got["url"]
    assert api_client.delete("/files", params={"path": "in/résumé 1.txt"}).status_code == 204
    assert paths(api_client) == []
    for answer in (
        api_client.delete("/files", params={"path": "in/résumé 1.txt"}),
        api_client.get("/files/download", params={"path": "in/résumé 1.txt"}),
    ):
        assert answer.status_code == 404, answer.text


def test_an_upload_is_signed_with_its_type_and_size(api_client):
    found = api_client.post("/files/upload", json={"path": "a", "size": 5}).json()
    assert found["headers"] == {"Content-Type": "application/octet-stream", "Content-Length": "5"}
    [signed] = parse_qs(urlsplit(found["url"]).query)["X-Amz-SignedHeaders"]
    assert signed.split(";") == ["content-length", "content-type", "host"]
    assert "checksum" not in found["url"]  # which would be that of an empty body


def test_a_list_goes_on_where_it_stopped_and_can_be_of_one_folder(api_client, files):
    for n in range(5):
        files.write(f"a/{n}", b"x" * n, "text/plain")
    files.write("b/ü", b"", "text/plain")
    seen, cursor = [], None
    while True:
        page = api_client.get("/files", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        assert len(page["items"]) <= 2
        seen += [(f["path"], f["size"]) for f in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [*((f"a/{n}", n) for n in range(5)), ("b/ü", 0)]
    assert paths(api_client, prefix="b/") == paths(api_client, prefix="b/u\u0308") == ["b/ü"]
    assert paths(api_client, prefix="c") == []
    first = api_client.get("/files", params={"limit": 2, "prefix": "a/"}).json()["next_cursor"]
    for query in ({"cursor": first}, {"cursor": first, "prefix": "b/"}, {"cursor": "x"}):
        answer = api_client.get("/files", params=query)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


def test_another_tenant_reaches_nothing(api_client, other_client, files, tenant, other_tenant):
    files.write("a", b"mine", "text/plain")
    for path in ("a", f"{tenant.id}/a"):
        assert other_client.get("/files/download", params={"path": path}).status_code == 404
        assert other_client.delete("/files", params={"path": path}).status_code == 404
    for prefix in ("", "a", tenant.id, f"{tenant.id}/"):
        assert paths(other_client, prefix=prefix) == []
    for path in (f"../{tenant.id}/a", f"/{tenant.id}/a"):
        for answer in (
            other_client.get("/files/download", params={"path": path}),
            other_client.delete("/files", params={"path": path}),
            other_client.post("/files/upload", json={"path": path, "size": 1}),
        ):
            assert answer.status_code == 422
    upload(other_client, "a", b"theirs")
    assert files.read("a") == b"mine"
    assert FileStore(TenantTable(other_tenant)).read("a") == b"theirs"
    files.write("b", b"", "text/plain")
    cursor = api_client.get("/files", params={"limit": 1}).json()["next_cursor"]
    assert other_client.get("/files", params={"cursor": cursor}).status_code == 400


@pytest.mark.parametrize("path", ["/a", "..", "a/../b", "a//b", "a/", "a\0", "a\nb", "é" * 400, "x" * 513])
def test_a_bad_path_is_refused(api_client, path: str):
    for answer in (
        api_client.get("/files/download", params={"path": path}),
        api_client.delete("/files", params={"path": path}),
        api_client.post("/files/upload", json={"path": path, "size": 1}),
    ):
        assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"path": "a"},
        {"size": 1},
        {"path": "a", "size": -1},
        {"path": "a", "size": 50_000_001},
        {"path": "a", "size": "1"},
        {"path": "a", "size": True},
        {"path": "a", "size": 1.5},
        {"path": 5, "size": 1},
        {"path": "a", "size": 1, "content_type": "text"},
        {"path": "a", "size": 1, "content_type": "text/plain\r\nX-A: b"},
        {"path": "a", "size": 1, "acl": "public-read"},
    ],
)
def test_a_bad_upload_is_refused(api_client, body):
    assert api_client.post("/files/upload", json=body).status_code == 422
    assert "Contents" not in client("s3").list_objects_v2(Bucket=settings().files_bucket)


def test_who_may_only_read_writes_nothing(api_client, files):
    files.write("a", b"x", "text/plain")
    for key in (key_with(api_client, role="viewer"), key_with(api_client, role="editor", scopes=["files:read"])):
        with http_api.connect(key) as reader:
            assert paths(reader) == ["a"]
            assert reader.get("/files/download", params={"path": "a"}).status_code == 200
            assert reader.delete("/files", params={"path": "a"}).status_code == 403
            assert reader.post("/files/upload", json={"path": "a", "size": 1}).status_code == 403
    with http_api.connect(key_with(api_client, role="owner", scopes=["tasks:read"])) as stranger:
        assert stranger.get("/files").status_code == 403
    assert files.read("a") == b"x"
