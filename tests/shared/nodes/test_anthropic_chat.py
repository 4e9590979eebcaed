"""anthropic_chat against a scripted endpoint over real HTTP."""

from __future__ import annotations

import time
from typing import Any

import pytest

from shared.nodes.base import Call, NodeError
from tests.shared.nodes.calls import call, problems, run
from tests.shared.nodes.http_server import Asked, Reply, Server, serving
from tests.shared.nodes.models import (
    FITS,
    GOOD,
    KEY,
    SCHEMA,
    TOOL,
    anthropic_fails,
    anthropic_says,
    outside,
)

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "model": "m-served"}
SOUND = {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}


def made(server: Server, config: dict[str, Any] | None = None, timeout_seconds: float = 20, **inputs: Any) -> Call:
    filled = {"model": "m-1", "credential": "anthropic", **(config or {})}
    given = {"messages": "Hello", **inputs}
    return call("anthropic_chat", filled, given, world=outside(server), timeout_seconds=timeout_seconds)


def chat(server: Server, config: dict[str, Any] | None = None, **inputs: Any) -> dict[str, Any]:
    return run(made(server, config, **inputs), "anthropic_chat")


def failure(server: Server, config: dict[str, Any] | None = None, **inputs: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        chat(server, config, **inputs)
    assert KEY not in caught.value.message
    return caught.value


def test_a_plain_question() -> None:
    config = {"system": "Be kind.", "temperature": 0.2, "max_tokens": 9, "stop": ["END"], "effort": "low"}
    with serving([anthropic_says("Hi ", "there", cache_read_input_tokens=7)]) as server:
        asking = made(server, config)
        answer = run(asking, "anthropic_chat")
    assert answer == {
        "response": "Hi there",
        "message": {"role": "assistant", "content": "Hi there"},
        "json": None,
        "tool_calls": [],
        "usage": {**USAGE, "prompt_tokens": 17, "total_tokens": 22},
    }
    assert asking.usage == answer["usage"]
    asked = server.asked[0]
    assert asked.path == "/v1/messages"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.json == {
        "model": "m-1",
        "system": "Be kind.",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        "temperature": 0.2,
        "max_tokens": 9,
        "stop_sequences": ["END"],
        "output_config": {"effort": "low"},
    }


def test_a_conversation_with_tools_images_and_files_goes_there_and_back() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    uses = [{"type": "tool_use", "id": f"t{n}", "name": "look_up", "input": {"order": n}} for n in (1, 2)]
    image = "data:image/png;base64,aGk="
    asked_with = [
        {"role": "system", "content": "first"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what?"},
                {"type": "image_url", "image_url": {"url": image}},
                {"type": "image_url", "image_url": {"url": "https://shop.example/a.png"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
                {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,aGk="}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "as it is"}},
            ],
        },
        {"role": "developer", "content": [{"type": "text", "text": "second"}]},
    ]
    with serving([anthropic_says(thinking, "Let me see.", *uses, stop="tool_use"), anthropic_says("done")]) as server:
        first = chat(server, {"tools": [TOOL], "tool_choice": "required"}, messages=asked_with)
        results = [{"role": "tool", "tool_call_id": f"t{n}", "content": f"found {n}"} for n in (1, 2)]
        more = [*asked_with, first["message"], *results, {"role": "user", "content": "and?"}]
        chat(server, {"tools": [TOOL], "tool_choice": "look_up"}, messages=more)
        plain = {k: v for k, v in first["message"].items() if k != "blocks"}
        chat(server, {"tools": [TOOL], "tool_choice": "none"}, messages=[*asked_with, plain, *results])
    assert first["tool_calls"] == [{"id": f"t{n}", "name": "look_up", "arguments": {"order": n}} for n in (1, 2)]
    assert first["response"] == "Let me see."
    sent = server.asked[0].json
    assert sent["system"] == "first\n\nsecond"
    assert sent["tools"] == [{"name": "look_up", "description": "finds", "input_schema": TOOL["parameters"]}]
    assert [s["tool_choice"] for s in (a.json for a in server.asked)] == [
        {"type": "any"},
        {"type": "tool", "name": "look_up"},
        {"type": "none"},
    ]
    assert sent["messages"][0]["content"] == [
        {"type": "text", "text": "what?"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        {"type": "image", "source": {"type": "url", "url": "https://shop.example/a.png"}},
        {
            "type": "document",
            "title": "a.pdf",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
        },
        {"type": "document", "title": "a.txt", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}},
        asked_with[1]["content"][5],
    ]
    user, assistant, after = server.asked[1].json["messages"]
    assert [m["role"] for m in (user, assistant, after)] == ["user", "assistant", "user"]
    assert assistant["content"] == [thinking, {"type": "text", "text": "Let me see."}, *uses]
    assert [b["type"] for b in after["content"]] == ["tool_result", "tool_result", "text"]
    assert after["content"][0] == {
        "type": "tool_result",
        "tool_use_id": "t1",
        "content": [{"type": "text", "text": "found 1"}],
    }
    assert server.asked[2].json["messages"][1]["content"] == [{"type": "text", "text": "Let me see."}, *uses]


def test_arguments_that_are_no_json_are_sent_back_in_an_object() -> None:
    broken = {"id": "t1", "type": "function", "function": {"name": "look_up", "arguments": "{broken"}}
    messages = ["x", {"role": "assistant", "content": None, "tool_calls": [broken]}]
    with serving([anthropic_says("ok")]) as server:
        chat(server, messages=messages)
    assert server.asked[0].json["messages"][1]["content"][0]["input"] == {"arguments": "{broken"}


def test_a_schema_is_asked_for_natively_and_in_words_where_it_is_not_taken() -> None:
    def answer(asked: Asked) -> Reply:
        if "output_config" in asked.json:
            return anthropic_fails(400, "output_config.format: maximum is not supported")
        return anthropic_says(GOOD)

    with serving([anthropic_says(GOOD)]) as server:
        assert chat(server, {"response_schema": SCHEMA, "effort": "low"})["json"] == FITS
    wanted = {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}}
    assert server.asked[0].json["output_config"] == wanted
    with serving(answer) as server:
        assert chat(server, {"response_schema": SCHEMA})["json"] == FITS
        assert failure(server, {"response_schema": SCHEMA, "structured_output": "native"}).error == "InvalidInput"
    assert '"urgent"' in server.asked[1].json["system"]


def test_malformed_json_is_repaired_and_paid_for() -> None:
    with serving([anthropic_says("{"), anthropic_says('{"urgent": 1, "score": 2}'), anthropic_says(GOOD)]) as server:
        asking = made(server, {"response_schema": SCHEMA})
        assert run(asking, "anthropic_chat")["json"] == FITS
    assert asking.usage["total_tokens"] == 45
    assert "must be of type" in server.asked[2].json["messages"][-1]["content"][0]["text"]
    with serving([anthropic_says("{", stop="max_tokens")]) as server:
        error = failure(server, {"response_schema": SCHEMA})
    assert (error.error, len(server.asked)) == ("InvalidResponse", 1)
    assert "max_tokens" in error.message


@pytest.mark.parametrize(
    ("reply", "error", "retryable"),
    [
        (anthropic_fails(429, kind="rate_limit_error", Retry_After="9"), "RateLimited", True),
        (anthropic_fails(400, "Your credit balance is too low"), "RateLimited", False),
        (anthropic_fails(401, f"invalid x-api-key {KEY}"), "AuthenticationFailed", False),
        (anthropic_fails(403), "AuthenticationFailed", False),
        (anthropic_fails(404, "model: m-1"), "ModelNotFound", False),
        (anthropic_fails(413, kind="request_too_large"), "ContextLengthExceeded", False),
        (anthropic_fails(400, "prompt is too long: 9 tokens > 8 maximum"), "ContextLengthExceeded", False),
        (anthropic_fails(400, "max_tokens: too high"), "InvalidInput", False),
        (anthropic_fails(500), "ModelError", True),
        (anthropic_fails(529, "Overloaded", "overloaded_error"), "ModelError", True),
        (anthropic_says("", stop="refusal"), "Refused", False),
        (Reply(b"{not json", headers={"Content-Type": "application/json"}), "ModelError", True),
        (Reply(b"<html>hello</html>", headers={"Content-Type": "text/html"}), "ModelError", True),
        (Reply({"error": "all busy"}), "ModelError", True),
        (Reply(b"", 307, {"Location": "http://127.0.0.1:9/"}), "ModelError", True),
        (Reply(b"{}", cut=0), "ConnectionFailed", True),
        (Reply(b'{"id": "c1"}', cut=5), "ConnectionFailed", True),
    ],
)
def test_errors(reply: Reply, error: str, retryable: bool) -> None:
    with serving([reply]) as server:
        asking = made(server, {"max_retries": 0})
        with pytest.raises(NodeError) as caught:
            run(asking, "anthropic_chat")
    assert KEY not in caught.value.message
    assert (caught.value.error, caught.value.retryable) == (error, retryable)
    assert caught.value.retry_after == (9 if error == "RateLimited" and retryable else None)
    assert asking.usage["total_tokens"] == (15 if error == "Refused" else 0)  # a refusal is paid for


def test_busy_endpoints_are_asked_again_as_late_as_they_say() -> None:
    with serving([anthropic_fails(429, Retry_After="1"), anthropic_says("later")]) as server:
        started = time.monotonic()
        assert chat(server)["response"] == "later"
    assert time.monotonic() - started >= 1
    with serving([anthropic_fails(529, Retry_After_Ms="1"), Reply(b"", cut=0), anthropic_says("up")]) as server:
        assert chat(server)["response"] == "up"


@pytest.mark.parametrize(
    ("config", "inputs", "error"),
    [
        ({"model": ""}, {}, "InvalidInput"),
        ({}, {"messages": []}, "InvalidInput"),
        ({}, {"messages": [{"role": "user", "content": [SOUND]}]}, "InvalidInput"),
        ({}, {"messages": 5}, "InvalidInput"),
        ({}, {"messages": [{"role": "user", "content": [5]}]}, "InvalidInput"),
        ({}, {"messages": [{"role": "assistant", "tool_calls": ["x"]}]}, "InvalidInput"),
        (
            {},
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png,%%"}]}]},
            "InvalidInput",
        ),
        ({}, {"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "InvalidInput"),
        ({"credential": "nowhere"}, {}, "CredentialNotFound"),
        ({"credential": "other"}, {}, "WrongCredential"),
        ({"credential": ""}, {}, "NotConfigured"),
    ],
)
def test_bad_inputs(config: dict[str, Any], inputs: dict[str, Any], error: str) -> None:
    with serving([anthropic_says("x")]) as server:
        caught = failure(server, config, **inputs)
    assert (caught.error, caught.retryable) == (error, False)
    assert not server.asked


def test_addresses_that_tenants_may_not_reach() -> None:
    with serving([anthropic_says("x")]) as server:
        asking = made(server)
        asking.world.allowed_hosts = frozenset()  # type: ignore[misc]
        with pytest.raises(NodeError) as caught:
            run(asking, "anthropic_chat")
    assert (caught.value.error, caught.value.retryable) == ("BlockedAddress", False)
    assert (server.asked, server.connections) == ([], 0)


def test_nobody_there_and_nobody_in_time() -> None:
    def slow(_asked: Asked) -> Reply:
        time.sleep(1)
        return anthropic_says("late")

    with serving(slow) as server:
        assert failure(server, timeout_seconds=0.3).error == "Timeout"
    assert failure(server, {"max_retries": 0}).error == "ConnectionFailed"


def test_an_answer_that_is_cut_off_at_the_default_limit_says_so() -> None:
    with serving([anthropic_says("half an ans", stop="max_tokens")]) as server:
        world = outside(server)
        given = run(
            call("anthropic_chat", {"model": "m-1", "credential": "anthropic"}, {"messages": "Hello"}, world=world),
            "anthropic_chat",
        )
    assert (server.asked[0].json["max_tokens"], given["usage"]["finish_reason"]) == (4096, "length")
    assert [level for level, _ in world.lines] == ["warning"]


def test_bad_configs() -> None:
    bad = {"credential": "a", "response_schema": {"type": "nonsense"}, "tool_choice": "x"}
    assert problems("anthropic_chat", bad) == ["config.response_schema.type", "config.tool_choice"]
