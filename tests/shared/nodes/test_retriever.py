from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.collections.model import Match, Model
from shared.nodes.base import NodeError
from shared.nodes.rag._retriever import fused
from tests.servers.embeddings import Embeddings, serving
from tests.shared.nodes.calls import Outside, call, execute, run
from tests.shared.nodes.collected import made, world_of

PASSAGES = {
    "leave": ("Leave is asked for in writing", {"lang": "en", "page": 1}),
    "writing": ("Writing is an art that is asked for", {"lang": "en", "page": 2}),
    "order": ("Orders such as SKU4711 are shipped at noon", {"lang": "en", "page": 3}),
    "urlaub": ("Urlaub wird schriftlich beantragt", {"lang": "de", "page": 1}),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Embeddings]:
    with serving() as one:
        yield one


@pytest.fixture
def world(tenant, server) -> Outside:
    server.asked.clear()
    made(tenant)
    world = world_of(tenant, server)
    data = [{"id": i, "content": text, "metadata": m} for i, (text, m) in PASSAGES.items()]
    execute("vector_store", {"collection": "handbook"}, {"data": data}, world=world)
    server.asked.clear()
    return world


def retrieved(world: Outside, query: Any, inputs: dict[str, Any] | None = None, **config: Any) -> dict[str, Any]:
    config = {"collection": "handbook", **config}
    found: dict[str, Any] = execute("retriever", config, {"query": query, **(inputs or {})}, world=world)
    assert found["scores"] == [d["score"] for d in found["documents"]] == sorted(found["scores"], reverse=True)
    return found


def ids(found: dict[str, Any]) -> list[str]:
    return [d["id"] for d in found["documents"]]


def test_the_nearest_first(world, server):
    found = retrieved(world, "leave asked for in writing", k=2)
    assert ids(found) == ["leave", "writing"]
    assert found["documents"][0]["content"] == PASSAGES["leave"][0]
    assert found["documents"][0]["metadata"] == PASSAGES["leave"][1]
    assert len(server.asked) == 1


def test_how_many(world):
    assert len(ids(retrieved(world, "x"))) == 4
    assert len(ids(retrieved(world, "x", k=1))) == 1
    assert len(ids(retrieved(world, "x", {"k": 3}, k=1))) == 3


def test_a_threshold(world):
    scores = retrieved(world, "leave in writing")["scores"]
    assert len(ids(retrieved(world, "leave in writing", threshold=scores[1]))) == 2
    assert retrieved(world, "leave in writing", threshold=1.01) == {"documents": [], "scores": []}


def test_filters(world):
    assert ids(retrieved(world, "x", filter={"lang": "de"})) == ["urlaub"]
    assert set(ids(retrieved(world, "x", {"filter": {"page": 1}}))) == {"leave", "urlaub"}
    assert ids(retrieved(world, "x", {"filter": {"page": 1}}, filter={"lang": "en"})) == ["leave"]
    assert retrieved(world, "x", {"filter": {"page": 99}})["documents"] == []


def test_hybrid_finds_what_only_words_tell(tenant, world, server):
    """The model here knows nothing of the term: with a vector that is the same for all, words decide."""
    same = [1.0] + [0.0] * 63
    data = [{"id": i, "content": PASSAGES[i][0], "metadata": PASSAGES[i][1], "vector": same} for i in PASSAGES]
    execute("vector_store", {"collection": "handbook"}, {"data": data}, world=world)
    found = retrieved(world, "where is sku4711?", mode="hybrid", k=3)
    assert ids(found)[0] == "order"
    assert 0.5 < found["scores"][0] <= 1
    assert ids(retrieved(world, "where is sku4711?", mode="hybrid", filter={"lang": "de"})) == ["urlaub"]


def test_ranks_are_fused():
    def ranking(names: str) -> list[Match]:
        return [Match(n, n, {}, 0.0) for n in names]

    found = fused([ranking("abc"), ranking("ba")])
    assert [m.id for m in found] == ["a", "b", "c"]
    assert found[0].score == found[1].score == pytest.approx((1 / 61 + 1 / 62) / (2 / 61))
    assert found[2].score == pytest.approx((1 / 63) / (2 / 61))
    assert fused([ranking("a"), ranking("a")])[0].score == 1
    assert fused([ranking("a"), []])[0].score == 0.5
    assert fused([[], []]) == []


def test_usage(world):
    asked = call("retriever", {"collection": "handbook"}, {"query": "three words here"}, world=world)
    run(asked, "retriever")
    assert asked.usage["prompt_tokens"] == 3


BAD: list[tuple[Any, dict[str, Any], str]] = [
    ("", {}, "query is a text"),
    (" \n", {}, "query is a text"),
    (None, {}, "query is a text"),
    (["x"], {}, "query is a text"),
    ("x", {"k": 0}, "k is a whole number"),
    ("x", {"k": 1_000}, "k is a whole number"),
    ("x", {"k": True}, "k is a whole number"),
    ("x", {"k": "5"}, "k is a whole number"),
    ("x", {"filter": "lang"}, "filter is an object"),
    ("x", {"filter": {"$where": 1}}, "neither a field"),
]


@pytest.mark.parametrize(("query", "inputs", "said"), BAD, ids=[f"{q}-{i}" for q, i, _ in BAD])
def test_bad_input(world, server, query: Any, inputs: dict[str, Any], said: str) -> None:
    with pytest.raises(NodeError, match=said) as caught:
        retrieved(world, query, inputs)
    assert (caught.value.error, caught.value.retryable) == ("InvalidInput", False)
    assert server.asked == []


def test_what_is_not_there(tenant, other_tenant, world, server):
    made(tenant, "bare", 3, model=None)
    made(tenant, "wrong", 3)
    made(tenant, "nobody", 3, model=Model("openai", "words", "nobody"))
    for name, error in (
        ("bare", "InvalidInput"),
        ("wrong", "InvalidInput"),
        ("nobody", "CredentialNotFound"),
        ("none", "CollectionNotFound"),
    ):
        with pytest.raises(NodeError) as caught:
            retrieved(world, "x", collection=name)
        assert caught.value.error == error
    with pytest.raises(NodeError, match="CollectionNotFound"):
        retrieved(world_of(other_tenant, server), "x")


def test_an_empty_collection(tenant, world):
    made(tenant, "empty")
    for mode in ("vector", "hybrid"):
        assert retrieved(world, "x", collection="empty", mode=mode) == {"documents": [], "scores": []}
