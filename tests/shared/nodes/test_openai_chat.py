"""openai_chat, and what it shares with llm_chat: endpoints that a tenant names."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest

from shared.nodes.base import Effect, NodeError
from shared.nodes.registry import get
from shared.outbound import sdk
from tests.shared.nodes.calls import Outside, call, problems, run
from tests.shared.nodes.http_server import Reply, Server, serving
from tests.shared.nodes.models import FITS, GOOD, KEY, SCHEMA, openai_says, outside


def chat(type_name: str, server: Server, config: dict[str, Any], world: Outside | None = None) -> dict[str, Any]:
    filled = {"model": "m-1", **config}
    return run(call(type_name, filled, {"messages": "Hello"}, world=world or outside(server)), type_name)


def test_openais_own_settings() -> None:
    with serving([openai_says(GOOD)]) as server:
        config = {"credential": "openai", "reasoning_effort": "low", "response_schema": SCHEMA}
        assert chat("openai_chat", server, config)["json"] == FITS
    asked = server.asked[0]
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.json["reasoning_effort"] == "low"


@pytest.mark.parametrize("type_name", ["openai_chat", "llm_chat"])
def test_a_credential_goes_before_the_platforms_endpoint(type_name: str) -> None:
    with serving([openai_says("theirs")]) as server, serving([openai_says("ours")]) as ours:
        world = outside(server, openai_base_url=f"{ours.url}/v1", openai_api_key="platform-key")
        assert chat(type_name, server, {"credential": "openai"}, world)["response"] == "theirs"
        assert chat(type_name, server, {}, world)["response"] == "ours"  # which may be private
    assert "platform-key" not in server.asked[0].headers["authorization"]
    assert ours.asked[0].headers["authorization"] == "Bearer platform-key"


@pytest.mark.parametrize("type_name", ["openai_chat", "llm_chat"])
def test_a_tenants_endpoint_is_public_or_allowed(type_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "function-key")
    with serving([openai_says("x")]) as server:
        with pytest.raises(NodeError) as caught:
            chat(type_name, server, {"credential": "openai"}, outside(server, allowed_hosts=frozenset()))
        assert (server.asked, server.connections) == ([], 0)
        keyless = outside(server)
        keyless.credentials.held["openai"] = ("openai", {"base_url": f"{server.url}/v1"})
        chat(type_name, server, {"credential": "openai"}, keyless)
    assert (caught.value.error, caught.value.retryable) == ("BlockedAddress", False)
    assert server.asked[0].headers["authorization"] == "Bearer none"  # never a key of the function's own


def test_an_answer_is_bounded_and_never_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk, "MAX_BYTES", 2_000)
    bomb = Reply(gzip.compress(b"x" * 1_000_000), headers={"Content-Encoding": "gzip"})
    for reply in (openai_says("x" * 2_000), bomb):
        with serving([reply]) as server, pytest.raises(NodeError) as caught:
            chat("openai_chat", server, {"credential": "openai", "max_retries": 0})
        assert (caught.value.error, caught.value.retryable) == ("ResponseTooLarge", False)
    assert server.asked[0].headers["accept-encoding"] == "identity"


def test_a_cookie_is_nobody_elses() -> None:
    """Tenants share the client: what one of them was given to prove who it is must not go with another's requests."""
    with serving(
        [Reply(openai_says("x").body, 200, {"Set-Cookie": "session=ours; Path=/"}), openai_says("y")]
    ) as server:
        config = {"model": "m-1", "credential": "openai"}
        asking = [call("openai_chat", config, {"messages": "Hello"}, world=outside(server)) for _ in range(2)]
        node_type = get("openai_chat")
        assert isinstance(node_type, Effect)

        async def ask() -> None:  # in one event loop: the client belongs to it
            for each in asking:
                await node_type.execute(each)

        asyncio.run(ask())
    assert [asked.headers.get("cookie") for asked in server.asked] == [None, None]


def test_a_redirect_is_not_followed() -> None:
    with serving([openai_says("x")]) as inner, serving([Reply(b"", 307, {"Location": f"{inner.url}/v1"})]) as server:
        world = outside(server, allowed_hosts=frozenset({server.host, inner.host}))
        with pytest.raises(NodeError):
            chat("openai_chat", server, {"credential": "openai", "max_retries": 0}, world)
    assert inner.asked == []


@pytest.mark.parametrize(
    ("base_url", "error"),
    [
        ("http://nowhere.invalid/v1", "DnsError"),
        ("http://[::1/v1", "InvalidInput"),
        ("http:///v1", "InvalidInput"),
        ("http://169.254.169.254/v1", "BlockedAddress"),
        ("http://127.0.0.1:1/v1", "ConnectionFailed"),
    ],
)
def test_addresses_that_lead_nowhere(base_url: str, error: str) -> None:
    with serving([openai_says("x")]) as server:
        world = outside(server, allowed_hosts=frozenset({"127.0.0.1:1"}))
        world.credentials.held["openai"] = ("openai", {"base_url": base_url, "api_key": KEY})
        with pytest.raises(NodeError) as caught:
            chat("openai_chat", server, {"credential": "openai", "max_retries": 0}, world)
    assert caught.value.error == error
    assert KEY not in caught.value.message


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"credential": "other"}, "WrongCredential"),
        ({"credential": "nowhere"}, "CredentialNotFound"),
        ({"model": "", "credential": "openai"}, "InvalidInput"),
        ({}, "NotConfigured"),
    ],
)
def test_bad_inputs(config: dict[str, Any], error: str) -> None:
    with serving([openai_says("x")]) as server, pytest.raises(NodeError) as caught:
        chat("openai_chat", server, config)
    assert (caught.value.error, caught.value.retryable, server.asked) == (error, False, [])


def test_a_cut_off_answer_is_given_as_it_is_where_no_schema_asks_for_more() -> None:
    with serving([openai_says("half an ans", finish="length"), openai_says("whole")]) as server:
        world = outside(server)
        given, after = (chat("openai_chat", server, {"credential": "openai"}, world) for _ in range(2))
    assert (given["response"], given["usage"]["finish_reason"]) == ("half an ans", "length")
    assert world.lines == [("warning", "the answer of m-1 was cut off at max_tokens, or at the model's own limit")]
    assert "finish_reason" not in after["usage"]


def test_bad_configs() -> None:
    assert problems("openai_chat", {"response_schema": {"type": "nonsense"}}) == ["config.response_schema.type"]
