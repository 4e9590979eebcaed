"""What Amazon S3 Vectors says, in words of ours; and that a filter is in its language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError

from shared.collections.filters import read
from shared.collections.model import Passage
from shared.collections.s3_vectors import S3Vectors, written
from shared.errors import AppError, Invalid, NotFound, TooLarge, Unavailable
from shared.settings import settings
from tests.shared.collections.cases import FITTING
from tests.shared.collections.conftest import record
from tests.shared.collections.query_vectors import queries


@pytest.fixture
def held(tenant, monkeypatch) -> Iterator[S3Vectors]:
    boto3.client("s3vectors", region_name="us-east-1").create_vector_bucket(vectorBucketName="sw-test-vectors")
    monkeypatch.setenv("SW_VECTOR_BUCKET", "sw-test-vectors")
    settings.cache_clear()
    made = S3Vectors(tenant, record(backend="s3_vectors"))
    made.create(3)
    yield made
    made.drop()


def calls(held: S3Vectors) -> list[Any]:
    return [
        lambda: held.upsert([Passage("a", "", [1, 0, 0])]),
        lambda: held.nearest([1, 0, 0], 1, None),
        lambda: held.delete(["a"], None),
        lambda: held.delete([], read({"a": 1})),
        lambda: held.count(None),
    ]


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("ValidationException", 400, Invalid),
        ("NotFoundException", 404, NotFound),
        ("ServiceQuotaExceededException", 402, TooLarge),
        ("TooManyRequestsException", 429, Unavailable),
        ("RequestTimeoutException", 408, Unavailable),
        ("ServiceUnavailableException", 503, Unavailable),
        ("InternalServerException", 500, Unavailable),
    ],
)
def test_what_goes_wrong_there(held, code: str, status: int, expected: type[AppError]) -> None:
    answer = {"Error": {"Code": code, "Message": "hush"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with patch.object(BaseClient, "_make_api_call", side_effect=ClientError(answer, "X")):
        for call in calls(held):
            with pytest.raises(expected) as caught:
                call()
            assert "hush" not in caught.value.detail


def test_nobody_answers(held) -> None:
    with patch.object(BaseClient, "_make_api_call", side_effect=EndpointConnectionError(endpoint_url="x")):
        for call in calls(held):
            with pytest.raises(Unavailable):
                call()


def test_a_vector_of_zeros_has_no_direction(tenant, monkeypatch) -> None:
    with queries():
        boto3.client("s3vectors", region_name="us-east-1").create_vector_bucket(vectorBucketName="sw-zeros")
        monkeypatch.setenv("SW_VECTOR_BUCKET", "sw-zeros")
        settings.cache_clear()
        made = S3Vectors(tenant, record(backend="s3_vectors"))
        made.create(3)
        made.create(3)  # one that is there stays
        with pytest.raises(Invalid, match="all zeros"):
            made.nearest([0, 0, 0], 1, None)
        made.drop()
        made.drop()
        with pytest.raises(NotFound):
            made.count(None)


def test_pages_are_read_to_their_end(held) -> None:
    pages = iter(
        [
            {"vectors": [{"key": "a", "distance": 0.0}], "nextToken": "t"},
            {"vectors": [{"key": "b", "distance": 0.5, "metadata": {"_text": "x"}}]},
            {"vectors": [{"key": "a"}], "nextToken": "t"},
            {"vectors": [{"key": "b"}]},
        ]
    )
    asked = []

    def answer(_: Any, operation: str, parameters: dict[str, Any]) -> Any:
        asked.append((operation, parameters.get("nextToken")))
        return next(pages)

    with patch.object(BaseClient, "_make_api_call", answer):
        assert [(m.id, m.score, m.text) for m in held.nearest([1, 0, 0], 5, None)] == [("a", 1.0, ""), ("b", 0.5, "x")]
        assert held.count(None) == 2
    assert asked == [("QueryVectors", None), ("QueryVectors", "t"), ("ListVectors", None), ("ListVectors", "t")]


def words(condition: Any) -> Iterator[str]:
    for name, value in condition.items():
        yield name
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                yield from words(part)


def test_only_words_that_the_service_documents() -> None:
    used = {w for given, _ in FITTING for w in words(written(read(given))) if w.startswith("$")}
    assert used == {"$and", "$or", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$exists"}
