"""embedding against scripted endpoints over real HTTP: OpenAI's shape, and Bedrock's by the real botocore."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from shared.nodes.base import Call, NodeError
from tests.shared.nodes.calls import call, run
from tests.shared.nodes.http_server import Asked, Reply, Server, serving
from tests.shared.nodes.models import KEY, bedrock_fails, outside
from tests.shared.nodes.test_llm_chat import fails
from tests.stepfunctions.engine.watch import wait_for

TITAN = "amazon.titan-embed-text-v2:0"
COHERE = "eu.cohere.embed-v4:0"


def vector(text: str) -> list[float]:
    return [float(len(text)), float(ord(text[0])), 0.5]


def openai(asked: Asked) -> Reply:
    """Vectors of the texts, told in the wrong order."""
    found = [
        {"object": "embedding", "index": i, "embedding": vector(text)} for i, text in enumerate(asked.json["input"])
    ]
    count = len(found)
    return Reply({"object": "list", "data": found[::-1], "model": "m", "usage": {"prompt_tokens": count}})


def bedrock(asked: Asked) -> Reply:
    if "titan" in asked.path:
        return Reply({"embedding": vector(asked.json["inputText"]), "inputTextTokenCount": 2})
    return Reply({"embeddings": {"float": [vector(t) for t in asked.json["texts"]]}, "id": "x"})


def made(server: Server, text: Any, timeout_seconds: float = 20, **config: Any) -> Call:
    world = outside(server)
    filled = {"credential": "openai", **config}
    return call("embedding", filled, {"text": text}, world=world, timeout_seconds=timeout_seconds)


def embed(server: Server, text: Any, **config: Any) -> dict[str, Any]:
    return run(made(server, text, **config), "embedding")


def failure(answer: Callable[[Asked], Reply] | list[Reply], text: Any = "hello", **config: Any) -> NodeError:
    with serving(answer) as server, pytest.raises(NodeError) as caught:
        embed(server, text, **{"max_retries": 0, **config})
    assert KEY not in caught.value.message
    return caught.value


def test_one_text_has_one_vector_and_a_list_a_list() -> None:
    with serving(openai) as server:
        asking = made(server, "hello", dimensions=3)
        usage = {"prompt_tokens": 1, "completion_tokens": 0, "total_tokens": 1, "model": "text-embedding-3-small"}
        assert run(asking, "embedding") == {"embedding": vector("hello"), "usage": usage}
        assert embed(server, ["hello"])["embedding"] == [vector("hello")]
    assert asking.usage == usage
    assert server.asked[0].json == {
        "model": "text-embedding-3-small",
        "input": ["hello"],
        "encoding_format": "float",
        "dimensions": 3,
    }
    assert "dimensions" not in server.asked[1].json


def test_many_texts_go_in_batches_and_keep_their_order() -> None:
    texts = [f"{i} {'x' * (i % 7)}" for i in range(300)]
    with serving(openai) as server:
        answer = embed(server, texts)
    assert answer["embedding"] == [vector(t) for t in texts]
    assert answer["usage"]["total_tokens"] == 300
    assert sorted(len(a.json["input"]) for a in server.asked) == [44, 128, 128]


def test_tokens_are_counted_although_a_later_batch_fails() -> None:
    def answer(asked: Asked) -> Reply:
        if len(asked.json["input"]) == 128:
            return openai(asked)
        wait_for(lambda: asking.usage.get("prompt_tokens") == 256, "the others are counted")
        return Reply({"error": {"message": "no"}}, 400)

    with serving(answer) as server:
        asking = made(server, ["x"] * 300, max_retries=0)
        with pytest.raises(NodeError):
            run(asking, "embedding")
    assert (asking.usage["prompt_tokens"], asking.usage["model"]) == (256, "text-embedding-3-small")


def test_long_texts_go_in_smaller_batches() -> None:
    with serving(openai) as server:
        embed(server, ["x" * 60_000] * 3)
    assert [len(a.json["input"]) for a in server.asked] == [1, 1, 1]


def test_not_more_than_four_requests_at_once() -> None:
    here, most, lock = [0], [0], threading.Lock()

    def answer(asked: Asked) -> Reply:
        with lock:
            here[0] += 1
            most[0] = max(most[0], here[0])
        time.sleep(0.02)
        with lock:
            here[0] -= 1
        return openai(asked)

    with serving(answer) as server:
        embed(server, ["x" * 60_000] * 12)
    assert 1 < most[0] <= 4


def test_bedrocks_titan_and_cohere() -> None:
    texts = ["one", "two", "three"]
    bedrock_config = {"provider": "bedrock", "credential": "aws", "dimensions": 256}
    with serving(bedrock) as server:
        titan = embed(server, texts, model=TITAN, **bedrock_config)
        cohere = embed(server, texts, model=COHERE, purpose="query", **bedrock_config)
    assert titan["embedding"] == cohere["embedding"] == [vector(t) for t in texts]
    assert titan["usage"]["prompt_tokens"] == 6
    bodies = [json.loads(a.body) for a in server.asked]
    assert sorted(b["inputText"] for b in bodies[:3]) == sorted(texts)
    assert bodies[0]["dimensions"] == 256
    assert bodies[3] == {
        "texts": texts,
        "input_type": "search_query",
        "embedding_types": ["float"],
        "output_dimension": 256,
    }


def test_too_many_requests_wait_as_long_as_asked() -> None:
    replies = [fails(429, Retry_After="1"), Reply({"data": [{"index": 0, "embedding": [1.0]}], "model": "m"})]
    with serving(replies) as server:
        started = time.monotonic()
        assert embed(server, "hello")["embedding"] == [1.0]
    assert time.monotonic() - started >= 1


def data(*vectors: Any) -> Reply:
    return Reply({"data": [{"index": i, "embedding": v} for i, v in enumerate(vectors)], "model": "m"})


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (fails(401, f"bad key {KEY}"), "AuthenticationFailed"),
        (fails(404), "ModelNotFound"),
        (fails(429), "RateLimited"),
        (fails(500), "ModelError"),
        (fails(400, "This model's maximum context length is 8192 tokens"), "ContextLengthExceeded"),
        (Reply(b"{broken", headers={"Content-Type": "application/json"}), "ModelError"),
        (Reply(b"<html>", headers={"Content-Type": "text/html"}), "ModelError"),
        (Reply({"error": "busy"}), "ModelError"),
        (Reply(b"", cut=0), "ConnectionFailed"),
        (data(), "InvalidResponse"),
        (data([1.0], [2.0]), "InvalidResponse"),
        (data([]), "InvalidResponse"),
        (data(["x"]), "InvalidResponse"),
        (data(None), "InvalidResponse"),
    ],
)
def test_errors(reply: Reply, error: str) -> None:
    assert failure([reply]).error == error


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (bedrock_fails(403, "AccessDeniedException"), "AuthenticationFailed"),
        (bedrock_fails(429, "ThrottlingException"), "RateLimited"),
        (bedrock_fails(400, "ValidationException", "model identifier is invalid"), "ModelNotFound"),
        (Reply(b"{broken"), "ModelError"),
        (Reply([1]), "ModelError"),
        (Reply({"embedding": None}), "InvalidResponse"),
    ],
)
def test_bedrocks_errors(reply: Reply, error: str) -> None:
    assert failure([reply], provider="bedrock", credential="aws", model=TITAN).error == error


def test_one_batch_that_fails_fails_all() -> None:
    def answer(asked: Asked) -> Reply:
        return fails(401) if "bad" in asked.json["input"] else openai(asked)

    assert failure(answer, [*["x"] * 128, "bad"]).error == "AuthenticationFailed"


@pytest.mark.parametrize(
    ("text", "config", "error"),
    [
        (None, {}, "InvalidInput"),
        ("", {}, "InvalidInput"),
        (" ", {}, "InvalidInput"),
        (5, {}, "InvalidInput"),
        ([], {}, "InvalidInput"),
        (["a", ""], {}, "InvalidInput"),
        (["a", {"b": 1}], {}, "InvalidInput"),
        (["a"] * 10_001, {}, "InvalidInput"),
        ("x" * 200_001, {}, "ContextLengthExceeded"),
        ("a", {"provider": "bedrock", "credential": "aws", "model": "amazon.nova"}, "InvalidInput"),
        ("a", {"provider": "bedrock"}, "WrongCredential"),
        ("a", {"credential": "other"}, "WrongCredential"),
        ("a", {"credential": "nowhere"}, "CredentialNotFound"),
        ("a", {"credential": ""}, "NotConfigured"),
    ],
)
def test_bad_inputs(text: Any, config: dict[str, Any], error: str) -> None:
    with serving(openai) as server, pytest.raises(NodeError) as caught:
        embed(server, text, **config)
    assert (caught.value.error, caught.value.retryable, server.asked) == (error, False, [])


def test_the_node_ends_when_its_time_is_over() -> None:
    def slow(asked: Asked) -> Reply:
        time.sleep(0.5)
        return openai(asked)

    assert failure(slow, timeout_seconds=0.2).error == "Timeout"
