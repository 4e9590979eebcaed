from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.collections.model import MAX_TEXT_BYTES, Model
from shared.nodes.base import NodeError
from shared.nodes.rag import _collections, _vector_store
from tests.servers.embeddings import Embeddings, serving
from tests.shared.nodes import http_server
from tests.shared.nodes.calls import Keyring, Outside, call, execute, run
from tests.shared.nodes.collected import made, world_of

LEAVE = {"content": "Leave is asked for in writing.", "metadata": {"page": 7, "lang": "en"}}
LUNCH = {"content": "Lunch is at noon.", "metadata": {"page": 9, "lang": "en"}}
URLAUB = {"content": "Urlaub wird beantragt.", "metadata": {"page": 7, "lang": "de"}}


@pytest.fixture(scope="module")
def server() -> Iterator[Embeddings]:
    with serving() as one:
        yield one


@pytest.fixture
def world(tenant, server) -> Outside:
    server.asked.clear()
    server.fails.clear()
    made(tenant)
    return world_of(tenant, server)


def store(world: Outside, data: Any, operation: str = "upsert", **config: Any) -> dict[str, Any]:
    config = {"collection": "handbook", "operation": operation, **config}
    found: dict[str, Any] = execute("vector_store", config, {"data": data}, world=world)
    return found


def failure(world: Outside, data: Any, operation: str = "upsert", **config: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        store(world, data, operation, **config)
    return caught.value


def test_documents_go_in_and_the_nearest_come_out(world, server):
    written = store(world, [LEAVE, LUNCH, URLAUB])
    assert written["count"] == 3
    assert [set(r) for r in written["results"]] == [{"id"}] * 3
    found = store(world, "asked for leave in writing", "query", k=2)
    assert found["count"] == 2
    best = found["results"][0]
    assert best == {"id": written["results"][0]["id"], **LEAVE, "score": best["score"]}
    assert best["score"] > found["results"][1]["score"]
    assert [len(a["input"]) for a in server.asked] == [3, 1]


def test_writing_again_does_no_harm(world):
    first = store(world, [LEAVE, LUNCH])
    assert store(world, [LUNCH, LEAVE, LEAVE])["count"] == 2
    assert store(world, {}, "count") == {"results": [], "count": 2}
    assert first == store(world, [LEAVE, LUNCH])


def test_many_texts_are_embedded_some_at_a_time(world, server, monkeypatch):
    monkeypatch.setattr(_collections, "_AT_ONCE", 2)
    texts = [f"text {i}" for i in range(5)]
    assert store(world, texts)["count"] == 5
    assert [a["input"] for a in server.asked] == [texts[:2], texts[2:4], texts[4:]]
    assert store(world, "text 4", "query", k=1)["results"][0]["content"] in texts


def test_all_forms_of_passages(world):
    vector = [1.0] + [0.0] * 63
    data = ["plain text", {"text": "by text", "id": 7}, {"id": "v", "vector": vector}, {"embedding": vector, **LEAVE}]
    assert store(world, data)["results"][1:3] == [{"id": "7"}, {"id": "v"}]
    assert store(world, "one text alone")["count"] == 1
    assert store(world, [])["count"] == 0
    found = store(world, vector, "query", k=2)["results"]
    assert {r["id"] for r in found} > {"v"}
    assert (
        store(world, {"vector": vector, "k": 1, "filter": {"page": 7}}, "query")["results"][0]["metadata"]
        == LEAVE["metadata"]
    )


def test_filters_of_config_and_data_hold_together(world):
    store(world, [LEAVE, LUNCH, URLAUB])
    asked = {"query": "x", "filter": {"page": 7}}
    assert store(world, asked, "query")["count"] == 2
    [found] = store(world, asked, "query", filter={"lang": "de"})["results"]
    assert found["content"] == URLAUB["content"]
    assert store(world, {"filter": {"page": 7}}, "count")["count"] == 2
    assert store(world, {"filter": {"page": 7}}, "count", filter={"lang": {"$ne": "de"}})["count"] == 1


def test_removing(world):
    ids = [r["id"] for r in store(world, [LEAVE, LUNCH, URLAUB, "a", "b"])["results"]]
    assert store(world, ids[0], "delete")["count"] == 1
    assert store(world, [ids[0], {"id": ids[1]}], "delete")["count"] == 1
    assert store(world, URLAUB, "delete")["count"] == 1  # as it was written
    assert store(world, {"ids": ids}, "delete")["count"] == 2
    store(world, [LEAVE, LUNCH, URLAUB])
    assert store(world, {"filter": {"lang": "en"}}, "delete")["count"] == 2
    assert store(world, {}, "count")["count"] == 1


def test_a_filter_of_the_config_bounds_what_is_removed(world):
    leave, lunch, urlaub = (r["id"] for r in store(world, [LEAVE, LUNCH, URLAUB])["results"])
    german = {"lang": "de"}
    assert store(world, leave, "delete", filter=german)["count"] == 0
    assert store(world, [LEAVE, {"id": lunch}], "delete", filter=german)["count"] == 0
    assert store(world, {"ids": [leave], "filter": {"page": 9}}, "delete", filter=german)["count"] == 0
    assert store(world, {"ids": [leave, urlaub], "filter": {"page": 9}}, "delete", filter=german)["count"] == 1
    assert store(world, {"ids": [leave], "filter": {"page": 9}}, "delete", filter={"lang": "en"})["count"] == 2


def test_the_port_goes_before_the_config(world):
    store(world, [LEAVE])
    inputs = {"data": {}, "operation": "count"}
    assert execute("vector_store", {"collection": "handbook"}, inputs, world=world)["count"] == 1


def test_usage(world):
    config = {"collection": "handbook"}
    asked = call("vector_store", config, {"data": [LEAVE, {"id": "v", "vector": [1.0] * 64}]}, world=world)
    run(asked, "vector_store")
    assert asked.usage["passages"] == 2
    assert asked.usage["prompt_tokens"] == 6


def test_a_model_is_asked_for_the_collections_dimension_where_it_can_be(tenant, world, server):
    made(tenant, "short", model=Model("openai", "words", "models", shortened=True))
    store(world, "text", collection="short")
    store(world, "text")
    assert [a.get("dimensions") for a in server.asked] == [64, None]


ONES = [1.0] * 64
BAD: list[tuple[Any, str, str, str]] = [
    (7, "upsert", "InvalidInput", r"data\[0\] is neither text nor"),
    (None, "upsert", "InvalidInput", r"data\[0\] is neither text nor"),
    ([LEAVE, None], "upsert", "InvalidInput", r"data\[1\] is neither text nor"),
    ([{}], "upsert", "InvalidInput", r"data\[0\] has neither content nor a vector"),
    (["  "], "upsert", "InvalidInput", r"data\[0\] has neither content nor a vector"),
    ([{"content": 7}], "upsert", "InvalidInput", "content is text"),
    ([{"content": "x", "metadata": [1]}], "upsert", "InvalidInput", "metadata an object"),
    ([{"content": "x", "metadata": {"a b": 1}}], "upsert", "InvalidInput", "'a b' is no name"),
    ([{"content": "x", "metadata": {"a": "x" * 2_001}}], "upsert", "InvalidInput", "at most 2,000 bytes"),
    ([{"content": "x", "metadata": {f"f{i}": 1 for i in range(41)}}], "upsert", "InvalidInput", "at most 40 fields"),
    ([{"content": "x" * (MAX_TEXT_BYTES + 1)}], "upsert", "InvalidInput", "cut it into chunks"),
    ([{"content": "x", "id": ["a"]}], "upsert", "InvalidInput", "an id is a text"),
    ([{"content": "x", "id": ""}], "upsert", "InvalidInput", "an id has 1 to 200"),
    ([{"content": "x", "id": "x" * 201}], "upsert", "InvalidInput", "an id has 1 to 200"),
    ([{"id": "v", "vector": [1.0] * 3}], "upsert", "InvalidInput", "have 64 numbers; this has 3"),
    ([{"id": "v", "vector": []}], "upsert", "InvalidInput", "have 64 numbers; this has 0"),
    ([{"id": "v", "vector": "1,2"}], "upsert", "InvalidInput", "a vector is an array of numbers"),
    ([{"id": "v", "vector": [*ONES[1:], "1"]}], "upsert", "InvalidInput", "a vector is an array of numbers"),
    ([{"id": "v", "vector": [*ONES[1:], 1e300]}], "upsert", "InvalidInput", "finite"),
    ("", "query", "InvalidInput", "a query is a text, a vector"),
    (None, "query", "InvalidInput", "a query is a text, a vector"),
    ({"k": 3}, "query", "InvalidInput", "a query is a text, a vector"),
    ([1.0], "query", "InvalidInput", "have 64 numbers; this has 1"),
    ({"query": "x", "k": 0}, "query", "InvalidInput", "k is a whole number from 1 to 100"),
    ({"query": "x", "k": 101}, "query", "InvalidInput", "k is a whole number"),
    ({"query": "x", "k": 1.5}, "query", "InvalidInput", "k is a whole number"),
    ({"query": "x", "k": "5"}, "query", "InvalidInput", "k is a whole number"),
    ({"query": "x", "filter": {"$or": []}}, "query", "InvalidInput", "not empty"),
    ({"query": "x", "filter": "lang"}, "query", "InvalidInput", "filter is an object"),
    ({"filter": {}}, "delete", "InvalidInput", "would remove everything"),
    (None, "delete", "InvalidInput", "names no passage"),
    ({}, "delete", "InvalidInput", "names no passage"),
    ([True], "delete", "InvalidInput", "names no passage"),
    ({"filter": {"a": None}}, "count", "InvalidInput", "is a text, a number"),
]


@pytest.mark.parametrize(("data", "operation", "error", "said"), BAD, ids=[f"{o}-{s}"[:60] for _, o, _, s in BAD])
def test_bad_input(world, server, data: Any, operation: str, error: str, said: str) -> None:
    with pytest.raises(NodeError, match=said) as caught:
        store(world, data, operation)
    assert (caught.value.error, caught.value.retryable) == (error, False)
    assert server.asked == [], "nothing is paid for"


def test_an_operation_that_there_is_not(world):
    with pytest.raises(NodeError, match="operation is one of"):
        execute("vector_store", {"collection": "handbook"}, {"data": "x", "operation": "drop"}, world=world)


def test_too_many_at_once(world, monkeypatch):
    monkeypatch.setattr(_vector_store, "MAX_BATCH", 2)
    assert failure(world, ["a", "b", "c"]).error == "TooLarge"


def test_a_collection_that_there_is_not(world, other_tenant, tenant):
    assert failure(world, "x", collection="nothing").error == "CollectionNotFound"
    store(world, [LEAVE])
    theirs = world_of(other_tenant)
    for operation, data in (("upsert", "x"), ("query", [1.0] * 64), ("delete", "x"), ("count", {})):
        assert failure(theirs, data, operation).error == "CollectionNotFound"
    made(other_tenant)  # of the same name
    assert store(theirs, {}, "count")["count"] == 0
    assert store(theirs, [1.0] * 64, "query")["results"] == []
    assert store(world, {}, "count")["count"] == 1


def test_a_collection_without_a_model_takes_vectors_only(tenant, world):
    made(tenant, "bare", 2, model=None)
    assert store(world, [{"id": "a", "vector": [1, 0]}], collection="bare")["count"] == 1
    assert store(world, [1, 0], "query", collection="bare")["results"][0]["id"] == "a"
    for operation in ("upsert", "query"):
        assert "names no model" in failure(world, "text", operation, collection="bare").message


def test_what_goes_wrong_with_the_model(tenant, world, server):
    made(tenant, "wrong-dimension", 3)
    assert "have 3 numbers; this has 64" in failure(world, "x", collection="wrong-dimension").message
    for name, credential, error in (
        ("no-credential", "nobody", "CredentialNotFound"),
        ("wrong-kind", "crm", "WrongCredential"),
    ):
        made(tenant, name, model=Model("openai", "words", credential))
        assert failure(world, "x", collection=name).error == error
    server.fails += [(400, b'{"error": {"message": "no"}}')]
    assert failure(world, "x").error == "InvalidInput"
    server.fails += [(200, b"no JSON")]
    assert failure(world, "x").error in ("ModelError", "InvalidResponse")
    unreachable = world_of(tenant)
    unreachable.credentials = Keyring({"models": ("openai", {"api_key": "k", "base_url": "http://127.0.0.1:9/v1"})})
    assert failure(unreachable, "x").error == "BlockedAddress"
    assert store(world, {}, "count")["count"] == 0


# --- Qdrant, by connection --------------------------------------------------------------------------------------------


def qdrant(tenant, server: http_server.Server | None, kind: str = "qdrant") -> Outside:
    made(tenant, "remote", 2, backend="qdrant", credential="vectors", model=None)
    world = world_of(tenant)
    url = server.url if server else "http://127.0.0.1:9"
    values = {"url": url, "api_key": "hush-key"}
    world.credentials = Keyring({"vectors": (kind, values if kind == "qdrant" else {"token": "hush-key"})})
    world.allowed_hosts = frozenset({server.host} if server else {"127.0.0.1:9"})
    return world


def test_a_qdrant_is_asked_with_its_key(tenant):
    exists = {"result": {"exists": True}, "status": "ok", "time": 0}
    count = {"result": {"count": 5}, "status": "ok", "time": 0}

    def answer(asked: http_server.Asked) -> http_server.Reply:
        return http_server.Reply(exists if asked.path.endswith("/exists") else count)

    with http_server.serving(answer) as server:
        assert store(qdrant(tenant, server), {}, "count", collection="remote")["count"] == 5
    assert {a.headers["api-key"] for a in server.asked} == {"hush-key"}
    assert server.asked[-1].path.startswith("/collections/remote/points/count")


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (http_server.Reply({"status": {"error": "hush-key"}}, 401), "AuthenticationFailed"),
        (http_server.Reply({"status": {"error": "hush-key"}}, 403), "AuthenticationFailed"),
        (http_server.Reply({"status": {"error": "no"}}, 400), "InvalidInput"),
        (http_server.Reply(b"busy", 503), "Unavailable"),
        (http_server.Reply(b"slow down", 429), "Unavailable"),
        (http_server.Reply(b"<html>", 200), "InvalidResponse"),
        (http_server.Reply({"result": {"nothing": 1}}, 200), "InvalidResponse"),
        (http_server.Reply(b"", 200, cut=0), "ConnectionFailed"),
    ],
)
def test_a_qdrant_that_is_no_good(tenant, reply: http_server.Reply, error: str) -> None:
    with http_server.serving([reply]) as server:
        world = qdrant(tenant, server)
        for operation, data in (("upsert", {"id": "a", "vector": [1, 0]}), ("query", [1, 0]), ("count", {})):
            found = failure(world, data, operation, collection="remote")
            assert found.error == error
            assert "hush-key" not in found.message


def test_a_qdrant_that_cannot_be_reached(tenant):
    world = qdrant(tenant, None)
    assert failure(world, {}, "count", collection="remote").error == "ConnectionFailed"
    world.allowed_hosts = frozenset()
    assert failure(world, {}, "count", collection="remote").error == "BlockedAddress"
    assert failure(world, "x", "delete", collection="remote").error == "BlockedAddress"


@pytest.mark.parametrize(("kind", "error"), [("bearer", "WrongCredential"), ("qdrant", "CredentialNotFound")])
def test_a_qdrant_with_the_wrong_credential(tenant, kind: str, error: str) -> None:
    world = qdrant(tenant, None, kind)
    if kind == "qdrant":
        world.credentials = Keyring({})
    assert failure(world, {}, "count", collection="remote").error == error
