"""Clients of a tenant's own AWS account: whose keys they use, and where they may go."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from shared.aws import foreign as module
from shared.aws import pinned
from shared.aws.foreign import foreign, own
from shared.outbound.aws import AwsFailed
from tests.shared.nodes.http_server import Asked, Reply, Server, serving
from tests.shared.outbound.test_tls import certificate, resolver  # noqa: F401 - fixtures

SECRET = "tenant-secret-0123456789"
KEYS = {"access_key_id": "AKIATENANT", "secret_access_key": SECRET, "region": "eu-central-1"}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    module.forget()
    yield
    module.forget()


def at(server: Server, **more: Any) -> dict[str, Any]:
    return {**KEYS, "endpoint_url": server.url, **more}


def get(values: dict[str, Any], allowed: frozenset[str], timeout: float = 5, attempts: int = 1) -> dict[str, Any]:
    service = foreign("dynamodb", values, allowed, timeout=timeout, attempts=attempts)
    return service.call("get_item", {"TableName": "orders", "Key": {"id": {"S": "1"}}})


def failure(reply: Reply | None = None, allow: bool = True, **values: Any) -> AwsFailed:
    with serving([reply or Reply({})]) as server, pytest.raises(AwsFailed) as caught:
        get(at(server, **values), frozenset({server.host} if allow else ()))
    assert SECRET not in str(caught.value)
    return caught.value


def test_it_works_with_the_tenants_keys_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFUNCTION")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "function")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "function-token")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "function-bearer")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with serving([Reply({"Item": {"id": {"S": "1"}}})]) as server:
        assert get(at(server), frozenset({server.host})) == {"Item": {"id": {"S": "1"}}}
        models = foreign("bedrock-runtime", at(server), frozenset({server.host}), timeout=5)
        models.call("converse", {"modelId": "m", "messages": [{"role": "user", "content": [{"text": "hi"}]}]})
        get(at(server, session_token="tenant-token"), frozenset({server.host}))
    for asked in server.asked:
        assert "Credential=AKIATENANT/" in asked.headers["authorization"]
        assert "eu-central-1" in asked.headers["authorization"]
        assert asked.headers["host"] == server.host
    assert [a.headers.get("x-amz-security-token") for a in server.asked] == [None, None, "tenant-token"]


def test_aws_itself_is_reached_where_no_endpoint_is_named() -> None:
    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="theirs")
        values = {**KEYS, "region": "us-east-1", "endpoint_url": None}
        service = foreign("s3", values, frozenset(), timeout=5)
        service.call("put_object", {"Bucket": "theirs", "Key": "a", "Body": b"hello"})
        assert service.call("get_object", {"Bucket": "theirs", "Key": "a"})["Body"] == b"hello"  # read, no stream
        assert own("s3", timeout=5).call("list_objects_v2", {"Bucket": "theirs"})["KeyCount"] == 1


def test_an_endpoint_that_is_not_public_is_refused_before_anything_is_sent() -> None:
    for address in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
        with serving([Reply({})]) as server, pytest.raises(AwsFailed) as caught:
            get({**KEYS, "endpoint_url": f"http://{address}:{server.port}"}, frozenset())
        assert caught.value.code == "BlockedAddress"
        assert (server.asked, server.connections) == ([], 0)


def test_a_redirect_is_not_followed() -> None:
    with (
        serving([Reply({})]) as inner,
        serving([Reply(b"", 307, {"Location": inner.url})]) as server,
        pytest.raises(AwsFailed),
    ):
        get(at(server), frozenset({server.host, inner.host}))
    assert inner.asked == []


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply({"__type": "x#ThrottlingException", "message": "slow"}, 400), "ThrottlingException"),
        (Reply({"__type": "UnrecognizedClientException", "message": "bad token"}, 400), "UnrecognizedClientException"),
        (Reply(b"<html>", 502), "502"),
        (Reply([1]), "InvalidResponse"),
        (Reply({"Item": [1]}), "InvalidResponse"),
        (Reply(b"{}", cut=0), "ConnectionFailed"),
        (Reply(b'{"Item": {}}', cut=4), "ConnectionFailed"),
    ],
)
def test_failures(reply: Reply, code: str) -> None:
    assert failure(reply).code == code


def test_an_answer_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinned, "MAX_BYTES", 1_000)
    monkeypatch.setattr(module, "MAX_BYTES", 1_000)
    with serving([Reply({"Item": {"id": {"S": "x" * 1_000}}})]) as server, pytest.raises(AwsFailed) as caught:
        get(at(server), frozenset({server.host}))
    assert caught.value.code == "ResponseTooLarge"
    with serving([Reply(b"x" * 1_001)]) as server:  # one that streams
        models = foreign("bedrock-runtime", at(server), frozenset({server.host}), timeout=5)
        with pytest.raises(AwsFailed) as caught:
            models.call("invoke_model", {"modelId": "m", "body": b"{}"})
    assert caught.value.code == "ResponseTooLarge"


def test_an_answer_that_is_no_json_is_empty() -> None:  # botocore's way: whoever asks looks for what it needs
    with serving([Reply(b"{broken")]) as server:
        assert get(at(server), frozenset({server.host})) == {}


def test_what_an_answer_says_is_kept_but_not_what_it_echoes() -> None:
    body = {"__type": "AccessDeniedException", "message": f"no right for {SECRET} and AKIATENANT"}
    error = failure(Reply(body, 403, {"Retry-After": "7"}))
    assert (error.status, error.retry_after, error.message) == (403, 7, "no right for … and …")


def test_bad_parameters_are_not_quoted() -> None:
    with pytest.raises(AwsFailed) as caught:
        foreign("dynamodb", KEYS, frozenset(), timeout=5).call("get_item", {"TableName": "t", "Key": "personal"})
    assert caught.value.code == "InvalidInput"
    assert "personal" not in str(caught.value)
    with pytest.raises(AwsFailed):
        foreign("dynamodb", {**KEYS, "endpoint_url": "http://no host"}, frozenset(), timeout=5)


def test_nobody_there() -> None:
    with serving([Reply({})]) as server:
        pass
    with pytest.raises(AwsFailed) as caught:
        get(at(server), frozenset({server.host}))
    assert caught.value.code == "ConnectionFailed"
    with pytest.raises(AwsFailed) as caught:
        get({**KEYS, "endpoint_url": "https://nowhere.invalid"}, frozenset())
    assert caught.value.code == "DnsError"


def test_an_answer_that_does_not_come() -> None:
    over = threading.Event()

    def late(_asked: Asked) -> Reply:
        over.wait(10)
        return Reply({})

    with serving(late) as server:
        started = time.monotonic()
        with pytest.raises(AwsFailed) as caught:
            get(at(server), frozenset({server.host}), timeout=0.5)
        over.set()
    assert caught.value.code == "Timeout"
    assert time.monotonic() - started < 8


def test_a_busy_service_is_asked_again() -> None:
    busy = Reply({"__type": "ThrottlingException", "message": "slow"}, 400)
    with serving([busy, Reply({"Item": {}})]) as server:
        assert get(at(server), frozenset({server.host}), attempts=2) == {"Item": {}}
    assert len(server.asked) == 2


def test_a_client_is_made_once() -> None:
    with serving([Reply({"Item": {}})]) as server:
        for _ in range(3):
            get(at(server), frozenset({server.host}))
    assert (len(server.asked), server.connections) == (3, 1)


@pytest.mark.usefixtures("resolver")
def test_tls_verifies_the_name_although_the_address_is_pinned(
    certificate: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setattr(pinned, "get_cert_path", lambda _verify: str(certificate))
    with serving([Reply({"Item": {}})], tls=context) as server:
        good, bad = (f"{host}.test:{server.port}" for host in ("named", "other"))
        assert get({**KEYS, "endpoint_url": f"https://{good}"}, frozenset({good})) == {"Item": {}}
        with pytest.raises(AwsFailed) as caught:
            get({**KEYS, "endpoint_url": f"https://{bad}"}, frozenset({bad}))
    assert caught.value.code == "ConnectionFailed"
    assert [a.headers["host"] for a in server.asked] == [good]
