"""Collections over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest

from shared.aws.clients import client
from shared.collections import store as store_module
from shared.collections.embedded import Embedded
from shared.collections.model import Passage
from shared.collections.store import CollectionStore
from shared.errors import Unavailable
from shared.settings import settings
from shared.store.table import TenantTable
from tests.functions.api.test_webhooks import key_with

HANDBOOK = {
    "name": "handbook",
    "description": "What everybody should know.",
    "dimension": 3,
    "metric": "cosine",
    "model": {"provider": "openai", "model": "text-embedding-3-small", "credential": "openai_main"},
}


@pytest.fixture
def handbook(api_client) -> dict[str, Any]:
    answer = api_client.post("/collections", json=HANDBOOK)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def vector_bucket(aws, monkeypatch) -> str:
    boto3.client("s3vectors", region_name="us-east-1").create_vector_bucket(vectorBucketName="sw-test-vectors")
    monkeypatch.setenv("SW_VECTOR_BUCKET", "sw-test-vectors")
    settings.cache_clear()
    return "sw-test-vectors"


def indexes(bucket: str) -> list[str]:
    listed = client("s3vectors").list_indexes(vectorBucketName=bucket)["indexes"]
    return [i["indexName"] for i in listed]


def objects() -> int:
    return int(client("s3").list_objects_v2(Bucket=settings().data_bucket, Prefix="collections/")["KeyCount"])


def codes(answer: Any) -> set[tuple[str, str]]:
    return {(p["code"], p["path"]) for p in answer.json()["errors"]}


def test_a_collection_is_made_read_changed_and_removed(api_client, handbook):
    assert {k: handbook[k] for k in ("name", "description", "dimension", "metric", "backend", "state")} == {
        **{k: HANDBOOK[k] for k in ("name", "description", "dimension", "metric")},
        "backend": "embedded",
        "state": "active",
    }
    assert handbook["model"] == {**HANDBOOK["model"], "shortened": False}
    assert (handbook["count"], handbook["size"], handbook["credential"]) == (0, 0, None)
    got = api_client.get("/collections/handbook")
    assert got.json() == handbook
    stale = got.headers["etag"]
    changed = api_client.patch("/collections/handbook", json={"description": "New"}, headers={"If-Match": stale})
    assert changed.json() == {**handbook, "description": "New"}
    assert changed.headers["etag"] != stale
    for late in (
        api_client.patch("/collections/handbook", json={"description": "Late"}, headers={"If-Match": stale}),
        api_client.delete("/collections/handbook", headers={"If-Match": stale}),
    ):
        assert (late.status_code, late.json()["code"]) == (412, "stale")
    assert [c["name"] for c in api_client.get("/collections").json()["items"]] == ["handbook"]
    gone = api_client.delete("/collections/handbook", headers={"If-Match": changed.headers["etag"]})
    assert gone.status_code == 204
    assert api_client.get("/collections/handbook").status_code == 404
    assert api_client.delete("/collections/handbook").status_code == 404
    assert api_client.get("/collections").json()["items"] == []


def test_writing_does_not_change_the_etag_but_the_counts(api_client, handbook, tenant):
    etag = api_client.get("/collections/handbook").headers["etag"]
    Embedded(CollectionStore(TenantTable(tenant)), "handbook").upsert([Passage("a", "text", [1, 0, 0])])
    got = api_client.get("/collections/handbook")
    assert got.headers["etag"] == etag
    assert got.json()["count"] == 1
    assert got.json()["size"] > 12


def test_removal_removes_everything(api_client, handbook, tenant):
    store = CollectionStore(TenantTable(tenant))
    for n in range(3):
        Embedded(store, "handbook").upsert([Passage(f"{n}-{i}", "x", [1, 0, i]) for i in range(10 ** (3 - n))])
    store.write_segment(store.get("handbook").id, "left-behind", b"by a writer that died")
    assert objects() >= 2
    assert api_client.delete("/collections/handbook").status_code == 204
    assert objects() == 0
    assert api_client.post("/collections", json=HANDBOOK).json()["count"] == 0


def test_a_removal_that_broke_off_can_be_done_again(api_client, handbook, monkeypatch):
    def broken(*_: Any) -> None:
        raise Unavailable("the collection cannot be reached; try again")

    with monkeypatch.context() as patching:
        patching.setattr(CollectionStore, "delete_segments", broken)
        assert api_client.delete("/collections/handbook").status_code == 503
    assert api_client.get("/collections/handbook").json()["state"] == "removing"
    assert api_client.post("/collections", json=HANDBOOK).status_code == 409
    assert api_client.delete("/collections/handbook").status_code == 204
    assert api_client.post("/collections", json=HANDBOOK).status_code == 201


def test_a_name_is_taken_once(api_client, other_client, handbook):
    again = api_client.post("/collections", json={**HANDBOOK, "dimension": 4})
    assert (again.status_code, again.json()["code"]) == (409, "name_taken")
    assert other_client.post("/collections", json=HANDBOOK).status_code == 201


def test_the_same_request_is_done_once(api_client):
    once = {"Idempotency-Key": "k-1"}
    first = api_client.post("/collections", json=HANDBOOK, headers=once)
    again = api_client.post("/collections", json=HANDBOOK, headers=once)
    assert (again.status_code, again.json(), again.headers["etag"]) == (201, first.json(), first.headers["etag"])


def test_there_are_at_most_so_many(api_client, monkeypatch):
    monkeypatch.setattr(store_module, "MAX_COLLECTIONS", 3)
    with ThreadPoolExecutor(6) as pool:
        names = [f"c{i}" for i in range(6)]
        made = list(pool.map(lambda n: api_client.post("/collections", json={"name": n, "dimension": 2}), names))
    assert sorted(a.status_code for a in made) == [201] * 3 + [413] * 3
    assert {a.json()["code"] for a in made if a.status_code == 413} == {"too_many"}
    [first, *_] = api_client.get("/collections").json()["items"]
    assert api_client.delete(f"/collections/{first['name']}").status_code == 204
    assert api_client.post("/collections", json=HANDBOOK).status_code == 201


def test_pages(api_client):
    for name in ("b", "a", "c"):
        api_client.post("/collections", json={"name": name, "dimension": 2})
    first = api_client.get("/collections", params={"limit": 2}).json()
    second = api_client.get("/collections", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [c["name"] for c in first["items"] + second["items"]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "Handbook"},
        {"name": "a b"},
        {"name": "x" * 64},
        {"name": "../x"},
        {"name": None},
        {"dimension": 0},
        {"dimension": 4_097},
        {"dimension": "3"},
        {"dimension": 1.5},
        {"metric": "manhattan"},
        {"backend": "oracle"},
        {"model": {"provider": "nobody", "model": "m"}},
        {"model": {"provider": "openai"}},
        {"model": {"model": ""}},
        {"model": {"model": "m", "credential": "Bad Name"}},
        {"model": "text-embedding-3-small"},
        {"description": "x" * 2_001},
        {"credential": "a b"},
        {"more": 1},
    ],
    ids=str,
)
def test_bad_collections(api_client, change):
    answer = api_client.post("/collections", json={**HANDBOOK, **change})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]


def test_what_does_not_go_together(api_client, vector_bucket, monkeypatch):
    qdrant = api_client.post("/collections", json={**HANDBOOK, "backend": "qdrant"})
    assert codes(qdrant) == {("missing", "credential")}
    for backend in ("embedded", "s3_vectors"):
        extra = api_client.post("/collections", json={**HANDBOOK, "backend": backend, "credential": "q"})
        assert codes(extra) == {("not_supported", "credential")}
    dot = api_client.post("/collections", json={**HANDBOOK, "backend": "s3_vectors", "metric": "dot"})
    assert codes(dot) == {("not_supported", "metric")}
    monkeypatch.setenv("SW_VECTOR_BUCKET", "")
    settings.cache_clear()
    none = api_client.post("/collections", json={**HANDBOOK, "backend": "s3_vectors"})
    assert codes(none) == {("not_configured", "backend")}


def test_a_collection_in_qdrant(api_client):
    answer = api_client.post("/collections", json={**HANDBOOK, "backend": "qdrant", "credential": "vectors"})
    made = answer.json()
    assert (made["backend"], made["credential"], made["count"], made["size"]) == ("qdrant", "vectors", None, None)
    assert api_client.delete("/collections/handbook").status_code == 204


def test_with_a_vector_bucket_collections_lie_there(api_client, other_client, vector_bucket, tenant):
    made = api_client.post("/collections", json=HANDBOOK).json()
    assert (made["backend"], made["count"]) == ("s3_vectors", None)
    other_client.post("/collections", json=HANDBOOK)
    own, _ = sorted(indexes(vector_bucket), key=lambda n: n != index_of(tenant))
    arn = client("s3vectors").list_indexes(vectorBucketName=vector_bucket)["indexes"]
    tagged = {
        i["indexName"]: client("s3vectors").list_tags_for_resource(resourceArn=i["indexArn"])["tags"] for i in arn
    }
    assert tagged[own] == {"TenantID": tenant.id}
    assert (
        api_client.post("/collections", json={**HANDBOOK, "name": "dots", "metric": "dot"}).json()["backend"]
        == "embedded"
    )
    assert api_client.delete("/collections/handbook").status_code == 204
    assert own not in indexes(vector_bucket)
    assert len(indexes(vector_bucket)) == 1


def index_of(tenant) -> str:
    return CollectionStore(TenantTable(tenant)).get("handbook").id.replace("_", "-").lower()


def test_an_index_without_a_record_does_not_stay(api_client, vector_bucket):
    assert api_client.post("/collections", json=HANDBOOK).status_code == 201
    assert api_client.post("/collections", json=HANDBOOK).status_code == 409
    assert len(indexes(vector_bucket)) == 1


def test_roles_and_scopes(api_client, handbook):
    viewer = key_with(api_client, role="viewer")
    reader = key_with(api_client, role="editor", scopes=["collections:read"])
    for key in (viewer, reader):
        headers = {"X-API-Key": key}
        assert api_client.get("/collections/handbook", headers=headers).status_code == 200
        assert api_client.post("/collections", json=HANDBOOK, headers=headers).status_code == 403
        assert api_client.delete("/collections/handbook", headers=headers).status_code == 403
    stranger = {"X-API-Key": key_with(api_client, role="editor", scopes=["files:*"])}
    assert api_client.get("/collections", headers=stranger).status_code == 403


def test_another_tenants_are_not_there(other_client, handbook):
    assert other_client.get("/collections").json()["items"] == []
    for answer in (
        other_client.get("/collections/handbook"),
        other_client.patch("/collections/handbook", json={"description": "x"}),
        other_client.delete("/collections/handbook"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
