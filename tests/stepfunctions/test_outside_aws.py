"""Whose AWS account a node gets: the credential's, or the platform's where its operator lets it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from shared.aws import foreign
from shared.nodes.world import Credential
from shared.outbound.aws import AwsFailed
from shared.settings import settings
from shared.tenancy import Tenant
from stepfunctions.outside import Outside
from tests.shared.nodes.http_server import serving
from tests.shared.nodes.models import bedrock_says

TALK = {"modelId": "m", "messages": [{"role": "user", "content": [{"text": "hi"}]}]}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    foreign.forget()
    yield
    foreign.forget()
    settings.cache_clear()


def refused(outside: Outside, service: str) -> str:
    with pytest.raises(AwsFailed) as caught:
        outside.aws(service, None, timeout=5)
    return caught.value.code


def test_the_platforms_account_is_closed_unless_its_operator_opens_it(
    aws: None, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = Outside(tenant, "ex_1")
    for value in ("", "off"):
        monkeypatch.setenv("SW_BEDROCK", value)
        settings.cache_clear()
        assert refused(outside, "bedrock-runtime") == "NotConfigured"
    monkeypatch.setenv("SW_BEDROCK", "on")
    settings.cache_clear()
    with serving([bedrock_says("hi")]) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url)
        outside.aws("bedrock-runtime", None, timeout=5).call("converse", TALK)
    assert (
        f"Credential={os.environ['AWS_ACCESS_KEY_ID']}/" in server.asked[0].headers["authorization"]
    )  # the function's own
    assert refused(outside, "dynamodb") == "NotConfigured"  # its models, and nothing else


def test_a_credential_opens_its_own_account(aws: None, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving([bedrock_says("hi")]) as server:
        monkeypatch.setenv("SW_ALLOWED_HOSTS", server.host)
        settings.cache_clear()
        keys = {"access_key_id": "AKIATENANT", "secret_access_key": "s", "region": "eu-central-1"}
        opened = Credential("theirs", "aws", {**keys, "endpoint_url": server.url})
        Outside(tenant, "ex_1").aws("bedrock-runtime", opened, timeout=5).call("converse", TALK)
    assert "Credential=AKIATENANT/" in server.asked[0].headers["authorization"]
