"""`qdrant_search`: the real client over HTTP, at a stand-in for the server (`tests.servers.qdrant`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.nodes.base import NodeError
from tests.servers.process import free_port
from tests.servers.qdrant import KEY, qdrant
from tests.shared.nodes.calls import Keyring, Outside, execute
from tests.shared.nodes.http_server import Reply, serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with qdrant() as made:
        yield made


def search(url: str, query: Any = (1, 0, 0), where: Any = None, key: str = KEY, **config: Any) -> Any:
    host = url.split("/")[2]
    values = {"url": url, "api_key": key}
    keys = Keyring({"db": ("qdrant", values), "key": ("bearer", {"token": "t"})})
    world = Outside(allowed_hosts=frozenset({host}), credentials=keys)
    timeout = config.pop("timeout_seconds", 20)
    settings = {"credential": "db", "collection": "products", **config}
    inputs = {"query": list(query) if isinstance(query, tuple) else query, "filter": where}
    return execute("qdrant_search", settings, inputs, world=world, timeout_seconds=timeout)["points"]


def failure(*args: Any, **config: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        search(*args, **config)
    return caught.value


def test_the_nearest_points_come_first(url: str) -> None:
    points = search(url, limit=2)
    assert [p["id"] for p in points] == [1, 2]
    assert points[0]["score"] == pytest.approx(1)
    assert points[0]["payload"] == {"name": "lamp", "price": 10, "stock": True}
    assert "vector" not in points[0]


def test_filters_and_options(url: str) -> None:
    cheap = {"must": [{"key": "price", "range": {"lt": 100}}], "must_not": [{"key": "stock", "match": {"value": True}}]}
    assert [p["id"] for p in search(url, where=cheap)] == [2]
    assert [p["id"] for p in search(url, where={"must": [{"has_id": [3]}]})] == [3]
    assert [p["id"] for p in search(url, offset=1, limit=1)] == [2]
    assert [p["id"] for p in search(url, score_threshold=0.999)] == [1]
    [bare] = search(url, limit=1, with_payload=False, with_vectors=True)
    assert (bare["payload"], bare["vector"]) == (None, [1, 0, 0])


@pytest.mark.parametrize(
    ("query", "where"),
    [
        (None, None),
        ([], None),
        ("text", None),
        ([1, "x", 0], None),
        ([True, False, True], None),
        ([[1, 0, 0]], None),
        ((1, 0, 0), "x"),
        ((1, 0, 0), {"must": "x"}),
        ((1, 0, 0), {"nonsense": []}),
        ((1, 0, 0), {"must": [{"key": "price", "match": 5}]}),
    ],
)
def test_bad_input(url: str, query: Any, where: Any) -> None:
    error = failure(url, query, where)
    assert (error.error, error.retryable) == ("InvalidInput", False)


def test_the_servers_refusals(url: str) -> None:
    assert failure(url, collection="none").error == "NotFound"
    assert failure(url, (1, 0)).error == "QueryFailed"
    error = failure(url, key="wrong-key")
    assert (error.error, error.retryable) == ("AuthenticationFailed", False)
    assert "wrong-key" not in error.message


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply({"status": "busy"}, 503), "ConnectionFailed"),
        (Reply({}, 429), "ConnectionFailed"),
        (Reply(b"no json", 200, {"Content-Type": "application/json"}), "InvalidResponse"),
        (Reply({"result": 5}), "InvalidResponse"),
        (Reply(b"", cut=0), "ConnectionFailed"),
        (
            Reply({"result": {"points": [{"id": 1, "version": 1, "score": 1, "payload": {"x": "y" * 21_000_000}}]}}),
            "ResponseTooLarge",
        ),
    ],
)
def test_answers_that_are_no_good(reply: Reply, error: str) -> None:
    with serving([reply]) as server:
        assert failure(server.url).error == error


def test_servers_that_are_not_there(url: str) -> None:
    assert failure(f"http://127.0.0.1:{free_port()}").error == "ConnectionFailed"
    assert failure("http://nowhere.invalid").error == "DnsError"
    keys = Keyring({"db": ("qdrant", {"url": url})})
    settings = {"credential": "db", "collection": "products"}
    with pytest.raises(NodeError) as caught:
        execute("qdrant_search", settings, {"query": [1, 0, 0]}, world=Outside(credentials=keys))
    assert (caught.value.error, caught.value.retryable) == ("BlockedAddress", False)


def test_other_credentials(url: str) -> None:
    assert failure(url, credential="key").error == "WrongCredential"
    assert failure(url, credential="none").error == "CredentialNotFound"
