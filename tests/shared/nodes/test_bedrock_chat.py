"""bedrock_chat: Converse against a scripted endpoint over real HTTP, by the real botocore."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import unquote

import pytest

from shared.nodes.base import Call, NodeError
from tests.shared.nodes.calls import call, run
from tests.shared.nodes.http_server import Asked, Reply, Server, serving
from tests.shared.nodes.models import FITS, GOOD, KEY, SCHEMA, TOOL, bedrock_fails, bedrock_says, outside

MODEL = "amazon.nova-lite-v1:0"
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "model": MODEL}
SOUND = {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}


def made(server: Server, config: dict[str, Any] | None = None, timeout_seconds: float = 20, **inputs: Any) -> Call:
    filled = {"model": MODEL, "credential": "aws", **(config or {})}
    given = {"messages": "Hello", **inputs}
    return call("bedrock_chat", filled, given, world=outside(server), timeout_seconds=timeout_seconds)


def chat(server: Server, config: dict[str, Any] | None = None, **inputs: Any) -> dict[str, Any]:
    return run(made(server, config, **inputs), "bedrock_chat")


def failure(server: Server, config: dict[str, Any] | None = None, **inputs: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        chat(server, config, **inputs)
    assert KEY not in caught.value.message
    return caught.value


def test_a_plain_question() -> None:
    config = {"system": "Be kind.", "temperature": 0.2, "max_tokens": 9, "stop": ["END"]}
    with serving([bedrock_says("Hi ", "there")]) as server:
        asking = made(server, config)
        answer = run(asking, "bedrock_chat")
    assert answer == {
        "response": "Hi there",
        "message": {"role": "assistant", "content": "Hi there"},
        "json": None,
        "tool_calls": [],
        "usage": USAGE,
    }
    assert asking.usage == USAGE
    asked = server.asked[0]
    assert unquote(asked.path) == f"/model/{MODEL}/converse"
    assert "Credential=AKIATENANT/" in asked.headers["authorization"]
    assert asked.json == {
        "system": [{"text": "Be kind."}],
        "messages": [{"role": "user", "content": [{"text": "Hello"}]}],
        "inferenceConfig": {"maxTokens": 9, "temperature": 0.2, "stopSequences": ["END"]},
    }


def test_a_conversation_with_tools_images_and_files_goes_there_and_back() -> None:
    reasoning = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}}
    uses = [{"toolUse": {"toolUseId": f"t{n}", "name": "look_up", "input": {"order": n}}} for n in (1, 2)]
    asked_with = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
                {"type": "file", "file": {"filename": "a_b.pdf", "file_data": "data:application/pdf;base64,aGk="}},
                {"cachePoint": {"type": "default"}},
            ],
        },
    ]
    with serving([bedrock_says(reasoning, "Let me see.", *uses, stop="tool_use"), bedrock_says("done")]) as server:
        first = chat(server, {"tools": [TOOL], "tool_choice": "required"}, messages=asked_with)
        results = [{"role": "tool", "tool_call_id": f"t{n}", "content": f"found {n}"} for n in (1, 2)]
        more = [*asked_with, first["message"], *results]
        chat(server, {"tools": [TOOL], "tool_choice": "look_up"}, messages=more)
        chat(server, {"tools": [TOOL], "tool_choice": "none"})
    assert first["tool_calls"] == [{"id": f"t{n}", "name": "look_up", "arguments": {"order": n}} for n in (1, 2)]
    assert first["response"] == "Let me see."
    sent, again, without = (a.json for a in server.asked)
    spec = {"name": "look_up", "description": "finds", "inputSchema": {"json": TOOL["parameters"]}}
    assert sent["toolConfig"] == {"tools": [{"toolSpec": spec}], "toolChoice": {"any": {}}}
    assert again["toolConfig"]["toolChoice"] == {"tool": {"name": "look_up"}}
    assert "toolConfig" not in without
    assert sent["messages"][0]["content"] == [
        {"text": "what?"},
        {"image": {"format": "png", "source": {"bytes": "aGk="}}},
        {"document": {"format": "pdf", "name": "a-b", "source": {"bytes": "aGk="}}},
        {"cachePoint": {"type": "default"}},
    ]
    assert [m["role"] for m in again["messages"]] == ["user", "assistant", "user"]
    assert again["messages"][1]["content"] == [reasoning, {"text": "Let me see."}, *uses]
    assert again["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": f"t{n}", "content": [{"text": f"found {n}"}]}} for n in (1, 2)
    ]


def test_a_schema_is_asked_for_natively_and_in_words_where_it_is_not_taken() -> None:
    def answer(asked: Asked) -> Reply:
        if "outputConfig" in asked.json:
            return bedrock_fails(400, "ValidationException", "this model doesn't support outputConfig.textFormat")
        return bedrock_says(GOOD)

    with serving([bedrock_says(GOOD)]) as server:
        assert chat(server, {"response_schema": SCHEMA})["json"] == FITS
    wanted = server.asked[0].json["outputConfig"]["textFormat"]
    assert wanted["type"] == "json_schema"
    assert json.loads(wanted["structure"]["jsonSchema"]["schema"]) == SCHEMA
    with serving(answer) as server:
        assert chat(server, {"response_schema": SCHEMA})["json"] == FITS
        assert failure(server, {"response_schema": SCHEMA, "structured_output": "native"}).error == "InvalidInput"
    assert '"urgent"' in server.asked[1].json["system"][0]["text"]


def test_malformed_json_is_repaired_and_paid_for() -> None:
    with serving([bedrock_says("{"), bedrock_says(GOOD)]) as server:
        asking = made(server, {"response_schema": SCHEMA})
        assert run(asking, "bedrock_chat")["json"] == FITS
    assert asking.usage["total_tokens"] == 30
    with serving([bedrock_says("{", stop="max_tokens")]) as server:
        assert failure(server, {"response_schema": SCHEMA}).error == "InvalidResponse"
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("reply", "error", "retryable"),
    [
        (bedrock_fails(429, "ThrottlingException", Retry_After="9"), "RateLimited", True),
        (bedrock_fails(400, "ServiceQuotaExceededException"), "RateLimited", True),
        (bedrock_fails(429, "ModelNotReadyException"), "RateLimited", True),
        (bedrock_fails(403, "AccessDeniedException", f"no access for {KEY}"), "AuthenticationFailed", False),
        (bedrock_fails(403, "UnrecognizedClientException"), "AuthenticationFailed", False),
        (bedrock_fails(400, "ExpiredTokenException"), "AuthenticationFailed", False),
        (bedrock_fails(404, "ResourceNotFoundException"), "ModelNotFound", False),
        (
            bedrock_fails(400, "ValidationException", "The provided model identifier is invalid."),
            "ModelNotFound",
            False,
        ),
        (
            bedrock_fails(400, "ValidationException", "Input is too long for requested model."),
            "ContextLengthExceeded",
            False,
        ),
        (bedrock_fails(400, "ValidationException", "temperature is too high"), "InvalidInput", False),
        (bedrock_fails(408, "ModelTimeoutException"), "Timeout", True),
        (bedrock_fails(424, "ModelErrorException"), "ModelError", True),
        (bedrock_fails(500, "InternalServerException"), "ModelError", True),
        (bedrock_fails(503, "ServiceUnavailableException"), "ModelError", True),
        (bedrock_says("", stop="guardrail_intervened"), "Refused", False),
        (bedrock_says("", stop="content_filtered"), "Refused", False),
        (bedrock_says("", stop="malformed_tool_use"), "InvalidResponse", True),
        (Reply(b"{not json", headers={"Content-Type": "application/json"}), "ModelError", True),
        (Reply(b"<html>hello</html>", headers={"Content-Type": "text/html"}), "ModelError", True),
        (Reply({"error": "all busy"}), "ModelError", True),
        (Reply(b"{}", cut=0), "ConnectionFailed", True),
        (Reply(b'{"id": "c1"}', cut=5), "ConnectionFailed", True),
    ],
)
def test_errors(reply: Reply, error: str, retryable: bool) -> None:
    with serving([reply]) as server:
        caught = failure(server, {"max_retries": 0})
    assert (caught.error, caught.retryable) == (error, retryable)
    assert len(server.asked) == 1
    if "Retry-After" in reply.headers:
        assert caught.retry_after == 9


def test_busy_models_are_asked_again_as_late_as_they_say() -> None:
    with serving([bedrock_fails(429, "ThrottlingException", Retry_After="1"), bedrock_says("later")]) as server:
        started = time.monotonic()
        assert chat(server)["response"] == "later"
    assert time.monotonic() - started >= 1
    with serving([bedrock_fails(503, "ServiceUnavailableException", Retry_After="0"), bedrock_says("up")]) as server:
        assert chat(server)["response"] == "up"


@pytest.mark.parametrize(
    ("config", "inputs", "error"),
    [
        ({"model": ""}, {}, "InvalidInput"),
        ({}, {"messages": []}, "InvalidInput"),
        ({}, {"messages": [{"role": "user", "content": [SOUND]}]}, "InvalidInput"),
        ({}, {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}, 5]}]}, "InvalidInput"),
        ({}, {"messages": [{"role": "user", "content": [{"nonsense": 5}]}]}, "InvalidInput"),
        (
            {},
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "https://x.example/a"}]}]},
            "InvalidInput",
        ),
        ({"credential": "nowhere"}, {}, "CredentialNotFound"),
        ({"credential": "openai"}, {}, "WrongCredential"),
        ({"credential": ""}, {}, "NotConfigured"),
    ],
)
def test_bad_inputs(config: dict[str, Any], inputs: dict[str, Any], error: str) -> None:
    with serving([bedrock_says("x")]) as server:
        caught = failure(server, config, **inputs)
    assert (caught.error, caught.retryable) == (error, False)
    assert not server.asked


def test_addresses_that_tenants_may_not_reach() -> None:
    with serving([bedrock_says("x")]) as server:
        asking = made(server)
        asking.world.allowed_hosts = frozenset()  # type: ignore[misc]
        with pytest.raises(NodeError) as caught:
            run(asking, "bedrock_chat")
    assert (caught.value.error, caught.value.retryable) == ("BlockedAddress", False)
    assert (server.asked, server.connections) == ([], 0)


def test_nobody_there_and_nobody_in_time() -> None:
    def slow(_asked: Asked) -> Reply:
        time.sleep(1)
        return bedrock_says("late")

    with serving(slow) as server:
        assert failure(server, timeout_seconds=0.3).error == "Timeout"
    assert failure(server, {"max_retries": 0}).error == "ConnectionFailed"
