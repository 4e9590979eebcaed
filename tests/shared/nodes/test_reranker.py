from __future__ import annotations

import json
from typing import Any

import pytest

from shared.nodes.base import NodeError
from shared.nodes.rag import _reranker
from tests.shared.nodes.calls import Keyring, Outside, call, execute, problems, run
from tests.shared.nodes.http_server import Asked, Reply, Server, serving

DOCUMENTS = [
    {"content": "Lunch is at noon", "metadata": {"page": 1}, "score": 0.1},
    "Leave is asked for in writing",
    {"text": "Writing is an art", "id": "x"},
]


def world(server: Server | None = None, **credentials: Any) -> Outside:
    return Outside(
        credentials=Keyring(credentials), allowed_hosts=frozenset({server.host} if server else ()), openai_api_key="k"
    )


def texts(found: dict[str, Any]) -> list[str]:
    return [d.get("content") or d["text"] for d in found["documents"]]


def test_by_words():
    found = execute("reranker", {}, {"query": "leave in writing", "documents": DOCUMENTS})
    assert texts(found) == ["Leave is asked for in writing", "Writing is an art", "Lunch is at noon"]
    assert found["scores"] == [d["score"] for d in found["documents"]]
    assert found["scores"][2] == 0
    assert found["documents"][1] == {"text": "Writing is an art", "id": "x", "score": found["scores"][1]}
    assert found["documents"][2]["metadata"] == {"page": 1}


def test_by_words_of_a_script_without_spaces():
    found = execute("reranker", {}, {"query": "退款", "documents": ["请假", "退款需要书面申请"]})
    assert texts(found) == ["退款需要书面申请", "请假"]
    assert found["scores"][0] > found["scores"][1] == 0


def test_the_best_are_kept():
    given = {"query": "leave in writing", "documents": DOCUMENTS}
    assert len(texts(execute("reranker", {"top_k": 2}, given))) == 2
    assert len(texts(execute("reranker", {"threshold": 0.01}, given))) == 2
    assert execute("reranker", {}, {**given, "documents": []}) == {"documents": [], "scores": []}
    same = execute("reranker", {}, {"query": "zebra", "documents": DOCUMENTS})
    assert texts(same) == ["Lunch is at noon", "Leave is asked for in writing", "Writing is an art"]


def by_length(asked: Asked) -> Reply:
    body = asked.json
    listed = body.get("documents") or body.get("texts")
    scores = [{"index": i, "relevance_score": len(t) / 100} for i, t in enumerate(listed)]
    return Reply({"id": "r", "results": scores[::-1]})


@pytest.mark.parametrize(
    ("kind", "values", "header"),
    [
        ("bearer", {"token": "hush"}, ("authorization", "Bearer hush")),
        ("openai", {"api_key": "hush"}, ("authorization", "Bearer hush")),
        ("api_key", {"name": "X-Key", "value": "hush"}, ("x-key", "hush")),
    ],
)
def test_by_an_endpoint(kind: str, values: dict[str, Any], header: tuple[str, str]) -> None:
    with serving(by_length) as server:
        config = {"method": "endpoint", "url": server.url + "/rerank", "model": "m", "credential": "key", "top_k": 2}
        given = {"query": "q", "documents": DOCUMENTS}
        found = execute("reranker", config, given, world=world(server, key=(kind, values)))
    assert texts(found) == ["Leave is asked for in writing", "Writing is an art"]
    assert found["scores"] == [0.29, 0.17]
    [asked] = server.asked
    assert asked.json == {
        "query": "q",
        "documents": ["Lunch is at noon", "Leave is asked for in writing", "Writing is an art"],
        "model": "m",
        "top_n": 3,
        "return_documents": False,
    }
    assert asked.headers[header[0]] == header[1]


def test_by_text_embeddings_inference():
    with serving([Reply([{"index": 2, "score": 0.9}, {"index": 0, "score": 0.5}, {"index": 1, "score": 0}])]) as server:
        config = {"method": "endpoint", "url": server.url + "/rerank", "shape": "tei"}
        found = execute("reranker", config, {"query": "q", "documents": DOCUMENTS}, world=world(server))
    assert found["scores"] == [0.9, 0.5, 0]
    assert server.asked[0].json["texts"][1] == "Leave is asked for in writing"
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply({"message": "hush"}, 401), "AuthenticationFailed"),
        (Reply({"message": "hush"}, 403), "AuthenticationFailed"),
        (Reply(b"", 429, {"Retry-After": "7"}), "RateLimited"),
        (Reply({"error": "hush"}, 400), "HttpError"),
        (Reply(b"", 503), "HttpError"),
        (Reply(b"", 302, {"Location": "/other"}), "HttpError"),
        (Reply(b"<html>"), "InvalidResponse"),
        (Reply({"results": []}), "InvalidResponse"),
        (Reply({"results": "x"}), "InvalidResponse"),
        (Reply([{"index": 0, "score": 1}] * 3), "InvalidResponse"),
        (Reply([{"index": i, "score": "1"} for i in range(3)]), "InvalidResponse"),
        (Reply([{"index": i, "score": True} for i in range(3)]), "InvalidResponse"),
        (Reply([1, 2, 3]), "InvalidResponse"),
        (Reply(b"x", 200, {"Content-Length": "99999999"}), "ResponseTooLarge"),
        (Reply(b"x", 200, cut=0), "ConnectionFailed"),
    ],
)
def test_an_endpoint_that_is_no_good(reply: Reply, error: str) -> None:
    with serving([reply]) as server:
        config = {"method": "endpoint", "url": server.url, "credential": "key"}
        with pytest.raises(NodeError) as caught:
            execute(
                "reranker",
                config,
                {"query": "q", "documents": DOCUMENTS},
                world=world(server, key=("bearer", {"token": "hush"})),
            )
    assert caught.value.error == error
    assert "hush" not in caught.value.message
    assert caught.value.retry_after == (7 if error == "RateLimited" else None)


@pytest.mark.parametrize(
    ("url", "credential", "error"),
    [
        ("http://127.0.0.1:9/", "key", "BlockedAddress"),
        ("nonsense", "key", "InvalidInput"),
        ("", "key", "InvalidInput"),
        ("https://rerank.example", "nobody", "CredentialNotFound"),
        ("https://rerank.example", "smtp", "WrongCredential"),
        ("https://rerank.example", "in_query", "WrongCredential"),
    ],
)
def test_an_endpoint_that_cannot_be_asked(url: str, credential: str, error: str) -> None:
    held = {
        "key": ("bearer", {"token": "hush"}),
        "smtp": ("smtp", {}),
        "in_query": ("api_key", {"name": "k", "value": "hush", "in": "query"}),
    }
    config = {"method": "endpoint", "url": url, "credential": credential}
    with pytest.raises(NodeError) as caught:
        execute("reranker", config, {"query": "q", "documents": DOCUMENTS}, world=world(**held))
    assert caught.value.error == error


def graded(text: Any) -> Reply:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": json.dumps(text)}}
    usage = {"prompt_tokens": 50, "completion_tokens": 5, "total_tokens": 55}
    return Reply(
        {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    )


def test_by_a_model():
    with serving([graded({"grades": [0, 9, 4]})]) as server:
        asked_of = world(server, key=("openai", {"api_key": "k", "base_url": server.url + "/v1"}))
        config = {"method": "model", "model": "m", "credential": "key"}
        asked = call("reranker", config, {"query": "leave?", "documents": DOCUMENTS}, world=asked_of)
        found = run(asked, "reranker")
    assert texts(found)[0] == "Leave is asked for in writing"
    assert found["scores"] == [0.9, 0.4, 0]
    assert asked.usage["total_tokens"] == 55
    sent = server.asked[0].json
    assert json.loads(sent["messages"][-1]["content"]) == {
        "question": "leave?",
        "passages": ["Lunch is at noon", "Leave is asked for in writing", "Writing is an art"],
    }


def test_a_model_that_does_not_grade_as_it_should():
    with serving([graded({"grades": [1]})]) as server:
        asked_of = world(server, key=("openai", {"api_key": "k", "base_url": server.url + "/v1"}))
        config = {"method": "model", "model": "m", "credential": "key"}
        with pytest.raises(NodeError, match="InvalidResponse"):
            execute("reranker", config, {"query": "q", "documents": DOCUMENTS}, world=asked_of)
    with pytest.raises(NodeError, match="at most 50 documents"):
        execute("reranker", {"method": "model", "model": "m"}, {"query": "q", "documents": ["x"] * 51})
    config, held = {"method": "model", "model": "m", "credential": "key"}, world(key=("bearer", {"token": "hush"}))
    with pytest.raises(NodeError, match="WrongCredential"):
        execute("reranker", config, {"query": "q", "documents": DOCUMENTS}, world=held)


BAD: list[tuple[Any, Any, str]] = [
    ("", ["x"], "query is a text"),
    (None, ["x"], "query is a text"),
    (7, ["x"], "query is a text"),
    ("q", "x", "documents is an array"),
    ("q", None, "documents is an array"),
    ("q", {"content": "x"}, "documents is an array"),
    ("q", ["x"] * 1_001, "at most 1,000"),
    ("q", ["x", 7], r"documents\[1\] is neither"),
    ("q", [{}], r"documents\[0\] is neither"),
    ("q", [{"content": 7}], r"documents\[0\] is neither"),
    ("q", [None], r"documents\[0\] is neither"),
]


@pytest.mark.parametrize(("query", "documents", "said"), BAD)
def test_bad_input(query: Any, documents: Any, said: str) -> None:
    with pytest.raises(NodeError, match=said) as caught:
        execute("reranker", {}, {"query": query, "documents": documents})
    assert (caught.value.error, caught.value.retryable) == ("InvalidInput", False)


def test_the_config_is_checked():
    assert problems("reranker", {"method": "endpoint"}) == ["config.url"]
    assert problems("reranker", {"method": "model"}) == ["config.model"]
    assert problems("reranker", {}) == problems("reranker", {"method": "endpoint", "url": "https://x"}) == []


def test_long_passages_are_cut_for_a_model(monkeypatch):
    monkeypatch.setattr(_reranker, "_GRADED_CHARACTERS", 5)
    with serving([graded({"grades": [3]})]) as server:
        asked_of = world(server, key=("openai", {"api_key": "k", "base_url": server.url + "/v1"}))
        config = {"method": "model", "model": "m", "credential": "key"}
        found = execute("reranker", config, {"query": "q", "documents": ["long passage"]}, world=asked_of)
    assert found["documents"][0]["content"] == "long passage"
    assert '"long "' in server.asked[0].json["messages"][-1]["content"]
