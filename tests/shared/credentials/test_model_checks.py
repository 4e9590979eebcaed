"""Trying keys of model providers and of AWS, against scripted endpoints and moto."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from moto import mock_aws

from shared.aws import foreign
from shared.credentials.checks import CheckFailed, NothingToTry, check
from tests.shared.nodes.http_server import Reply, Server, serving

SECRET = "secret-key-1234"
KINDS = ("openai", "anthropic", "aws")


def values(kind: str, url: str) -> dict[str, Any]:
    if kind == "aws":
        keys = {"access_key_id": "AKIATENANT", "secret_access_key": SECRET, "region": "eu-central-1"}
        return {**keys, "endpoint_url": url}
    return {"api_key": SECRET, "base_url": f"{url}/v1" if kind == "openai" else url}


def tried(kind: str, server: Server, allowed: bool = True) -> None:
    hosts = frozenset({server.host} if allowed else ())
    asyncio.run(check(kind, values(kind, server.url), hosts))


IDENTITY = Reply(
    b"<GetCallerIdentityResponse><GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult>"
    b"</GetCallerIdentityResponse>",
    headers={"Content-Type": "text/xml"},
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_key(kind: str) -> None:
    with serving([IDENTITY if kind == "aws" else Reply({"data": []})]) as server:
        tried(kind, server)
    asked = server.asked[0]
    if kind == "aws":
        assert "Credential=AKIATENANT/" in asked.headers["authorization"]
        assert b"Action=GetCallerIdentity" in asked.body
    else:
        assert (asked.method, asked.path) == ("GET", "/v1/models")
        assert asked.headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused(kind: str, status: int) -> None:
    told = Reply({"error": {"message": f"bad key {SECRET}"}}, status)
    if kind == "aws":
        xml = f"<ErrorResponse><Error><Code>InvalidKey</Code><Message>{SECRET}</Message></Error></ErrorResponse>"
        told = Reply(xml.encode(), status)
    with serving([told]) as server, pytest.raises(CheckFailed, match="refuses the key") as caught:
        tried(kind, server)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_an_endpoint_that_cannot_tell(kind: str) -> None:
    with serving([Reply(b"", 404)]) as server, pytest.raises(NothingToTry):
        tried(kind, server)


@pytest.mark.parametrize("kind", KINDS)
def test_addresses_that_tenants_may_not_reach(kind: str) -> None:
    with serving([Reply({})]) as server, pytest.raises(CheckFailed, match="not on the public internet"):
        tried(kind, server, allowed=False)
    assert (server.asked, server.connections) == ([], 0)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_there(kind: str) -> None:
    with serving([Reply({})]) as server:
        pass
    with pytest.raises(CheckFailed):
        tried(kind, server)


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
@pytest.mark.parametrize("reply", [Reply(b"", 500), Reply(b"", 302, {"Location": "http://127.0.0.1:9/"})])
def test_other_answers(kind: str, reply: Reply) -> None:
    with serving([reply]) as server, pytest.raises(CheckFailed, match="answered"):
        tried(kind, server)


def test_an_endpoint_without_a_key() -> None:
    with serving([Reply({"data": []})]) as server:
        asyncio.run(check("openai", {"base_url": f"{server.url}/v1"}, frozenset({server.host})))
    assert "authorization" not in server.asked[0].headers


def test_a_key_that_cannot_be_sent() -> None:
    bad = {"api_key": "schlüssel\n1234", "base_url": "http://127.0.0.1:9/v1"}
    with pytest.raises(CheckFailed) as caught:
        asyncio.run(check("openai", bad, frozenset({"127.0.0.1:9"})))
    assert "1234" not in str(caught.value)


def test_aws_itself() -> None:
    foreign.forget()
    with mock_aws():
        good = {"access_key_id": "AKIATENANT", "secret_access_key": SECRET, "region": "us-east-1"}
        asyncio.run(check("aws", good, frozenset()))
    foreign.forget()
