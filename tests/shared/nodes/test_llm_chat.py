"""llm_chat against a scripted endpoint over real HTTP."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from shared.nodes.base import Call, Effect, NodeError
from shared.nodes.registry import get
from tests.shared.nodes.calls import Outside, call, problems, run
from tests.shared.nodes.http_server import Asked, Reply, Server, serving

KEY = "sk-test-secret-1234"
SCHEMA = {
    "type": "object",
    "properties": {"urgent": {"type": "boolean"}, "score": {"type": "integer", "maximum": 10}},
    "required": ["urgent", "score"],
    "additionalProperties": False,
}
GOOD = '{"urgent": true, "score": 3}'
FITS = {"urgent": True, "score": 3}


def says(content: str | None, tool_calls: Any = None, finish: str = "stop", **message: Any) -> Reply:
    choice = {"role": "assistant", "content": content, **({"tool_calls": tool_calls} if tool_calls else {}), **message}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return Reply(
        {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "m-1-served",
            "choices": [{"index": 0, "message": choice, "finish_reason": finish}],
            "usage": usage,
        }
    )


def fails(status: int, message: str = "no", code: str | None = None, param: str | None = None, **headers: str) -> Reply:
    error = {"message": message, "type": "x", "code": code, "param": param}
    return Reply({"error": error}, status, {k.replace("_", "-"): v for k, v in headers.items()})


def made(server: Server, config: dict[str, Any] | None = None, timeout_seconds: float = 20, **inputs: Any) -> Call:
    world = Outside(openai_base_url=f"{server.url}/v1", openai_api_key=KEY)
    inputs = {"messages": "Hello", **inputs}
    filled = {"model": "m-1", **(config or {})}
    return call("llm_chat", filled, inputs, world=world, timeout_seconds=timeout_seconds)


def chat(server: Server, config: dict[str, Any] | None = None, **inputs: Any) -> dict[str, Any]:
    return run(made(server, config, **inputs), "llm_chat")


def failure(server: Server, config: dict[str, Any] | None = None, **inputs: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        chat(server, config, **inputs)
    assert KEY not in caught.value.message
    return caught.value


def test_a_plain_question() -> None:
    with serving([says("Hi there")]) as server:
        asking = made(server, {"system": "Be kind.", "temperature": 0.2, "max_tokens": 9, "stop": ["END"], "seed": 4})
        answer = run(asking, "llm_chat")
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "model": "m-1-served"}
    assert answer == {
        "response": "Hi there",
        "message": {"role": "assistant", "content": "Hi there"},
        "json": None,
        "tool_calls": [],
        "usage": usage,
    }
    assert asking.usage == usage
    asked = server.asked[0]
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.json == {
        "model": "m-1",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}],
        "temperature": 0.2,
        "max_tokens": 9,
        "stop": ["END"],
        "seed": 4,
    }


def test_input_ports_go_before_the_config_and_conversations_are_sent_as_they_are() -> None:
    image = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": "data:image/png,x"}}]
    messages = ["one", {"role": "assistant", "content": "two"}, {"role": "user", "content": image}]
    with serving([says("ok")]) as server:
        chat(server, {"system": "config"}, messages=messages, system="port", model="m-2")
    sent = server.asked[0].json
    assert sent["model"] == "m-2"
    assert sent["messages"] == [
        {"role": "system", "content": "port"},
        {"role": "user", "content": "one"},
        *messages[1:],
    ]


@pytest.mark.parametrize(
    ("config", "inputs"),
    [
        ({"model": ""}, {}),
        ({}, {"messages": []}),
        ({}, {"messages": 5}),
        ({}, {"messages": [{"role": "wizard", "content": "x"}]}),
        ({}, {"messages": [{"role": "user"}]}),
        ({}, {"messages": [None]}),
    ],
)
def test_bad_inputs(config: dict[str, Any], inputs: dict[str, Any]) -> None:
    with serving([says("x")]) as server:
        error = failure(server, config, **inputs)
    assert (error.error, error.retryable) == ("InvalidInput", False)
    assert not server.asked


def test_nothing_configured() -> None:
    with pytest.raises(NodeError) as caught:
        run(call("llm_chat", {"model": "m"}, {"messages": "x"}), "llm_chat")
    assert caught.value.error == "NotConfigured"


def test_tool_calls_come_back_parsed() -> None:
    calls = [
        {"id": "t1", "type": "function", "function": {"name": "look_up", "arguments": '{"order": 7}'}},
        {"id": "t2", "type": "function", "function": {"name": "look_up", "arguments": "{broken"}},
    ]
    tools = [
        {"name": "look_up", "description": "finds", "parameters": {"type": "object"}},
        {"type": "function", "function": {"name": "other"}},
    ]
    with serving([says(None, calls, "tool_calls")]) as server:
        answer = chat(server, {"tools": tools, "tool_choice": "look_up", "response_schema": SCHEMA})
    assert answer["tool_calls"] == [
        {"id": "t1", "name": "look_up", "arguments": {"order": 7}},
        {"id": "t2", "name": "look_up", "arguments": "{broken"},
    ]
    assert answer["response"] == ""
    assert answer["json"] is None
    assert answer["message"]["tool_calls"] == calls  # ready to be sent back in a next turn
    sent = server.asked[0].json
    assert [t["function"]["name"] for t in sent["tools"]] == ["look_up", "other"]
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "look_up"}}


def test_a_schema_is_asked_for_natively() -> None:
    with serving([says(GOOD)]) as server:
        answer = chat(server, {"response_schema": SCHEMA})
    assert answer["json"] == FITS
    wanted = server.asked[0].json["response_format"]["json_schema"]
    assert (wanted["schema"], wanted["strict"]) == (SCHEMA, True)


def test_strict_mode_is_only_asked_for_where_the_schema_fits_it() -> None:
    loose = {"type": "object", "properties": {"a": {"type": "string"}}}
    with serving([says('{"a": "x"}')]) as server:
        chat(server, {"response_schema": loose})
    assert server.asked[0].json["response_format"]["json_schema"]["strict"] is False


@pytest.mark.parametrize(
    "text",
    [GOOD, f"```json\n{GOOD}\n```", f"Sure! Here it is:\n{GOOD}\nAnything else?", f"[see] the answer is {GOOD}"],
)
def test_an_answer_is_found_amid_prose(text: str) -> None:
    with serving([says(text)]) as server:
        if text.startswith("[see]"):  # brackets that are no JSON are passed over
            assert chat(server, {"response_schema": SCHEMA, "structured_output": "instruction"})["json"] == FITS
        assert chat(server, {"response_schema": SCHEMA, "structured_output": "instruction"})["json"] == FITS
    sent = server.asked[0].json
    assert "response_format" not in sent
    assert '"urgent"' in sent["messages"][0]["content"]


def test_malformed_then_wrong_then_repaired() -> None:
    with serving([says('{"urgent": tru'), says('{"urgent": true, "score": 11}'), says(GOOD)]) as server:
        asking = made(server, {"response_schema": SCHEMA, "system": "Sort."})
        answer = run(asking, "llm_chat")
    assert answer["json"] == FITS
    assert asking.usage["total_tokens"] == 45  # every attempt is paid for
    last = server.asked[2].json["messages"]
    assert [m["role"] for m in last] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert last[0]["content"].startswith("Sort.")
    assert "must be at most 10" in last[-1]["content"]


def test_an_answer_that_never_fits_fails_and_says_what_was_wrong() -> None:
    with serving([says('{"urgent": "personal data"}')]) as server:
        asking = made(server, {"response_schema": SCHEMA, "repair_attempts": 1})
        with pytest.raises(NodeError) as caught:
            run(asking, "llm_chat")
    assert caught.value.error == "InvalidResponse"
    assert "$.urgent: must be of type" in caught.value.message
    assert "'score' is a required property" in caught.value.message
    assert "personal data" not in caught.value.message
    assert len(server.asked) == 2
    assert asking.usage["total_tokens"] == 30


def test_an_answer_cut_off_is_not_sent_for_repair() -> None:
    with serving([says('{"urgent": tr', finish="length")]) as server:
        error = failure(server, {"response_schema": SCHEMA})
    assert error.error == "InvalidResponse"
    assert "max_tokens" in error.message
    assert len(server.asked) == 1


def no_schema_mode(asked: Asked) -> Reply:
    if "response_format" in asked.json:
        return fails(400, "'response_format' of type 'json_schema' is not supported with this model")
    return says(GOOD)


def test_auto_falls_back_to_words_where_the_endpoint_has_no_schema_mode() -> None:
    with serving(no_schema_mode) as server:
        assert chat(server, {"response_schema": SCHEMA})["json"] == FITS
        assert failure(server, {"response_schema": SCHEMA, "structured_output": "native"}).error == "InvalidInput"


def test_the_newer_name_of_the_token_limit() -> None:
    def answer(asked: Asked) -> Reply:
        old = "max_tokens" in asked.json
        return fails(400, "unsupported", "unsupported_parameter", "max_tokens") if old else says("ok")

    with serving(answer) as server:
        assert chat(server, {"max_tokens": 5})["response"] == "ok"
    assert server.asked[1].json["max_completion_tokens"] == 5


def test_too_many_requests_wait_as_long_as_asked() -> None:
    with serving([fails(429, Retry_After="1"), says("later")]) as server:
        started = time.monotonic()
        assert chat(server)["response"] == "later"
    assert time.monotonic() - started >= 1


def test_server_errors_and_cut_connections_are_tried_again() -> None:
    with serving([fails(500, Retry_After_Ms="1"), fails(503, Retry_After_Ms="1"), says("up")]) as server:
        assert chat(server)["response"] == "up"
    with serving([Reply(b"", cut=0), says("up")]) as server:
        assert chat(server)["response"] == "up"


@pytest.mark.parametrize(
    ("reply", "error", "retryable"),
    [
        (fails(429, Retry_After="9"), "RateLimited", True),
        (fails(429, code="insufficient_quota"), "RateLimited", False),
        (fails(401, f"Incorrect API key provided: {KEY}"), "AuthenticationFailed", False),
        (fails(403), "AuthenticationFailed", False),
        (fails(404, code="model_not_found"), "ModelNotFound", False),
        (fails(400, code="context_length_exceeded"), "ContextLengthExceeded", False),
        (fails(400, "This model's maximum context length is 10 tokens"), "ContextLengthExceeded", False),
        (fails(400, "temperature is too high"), "InvalidInput", False),
        (fails(400, code="content_filter"), "Refused", False),
        (fails(500), "ModelError", True),
        (fails(502), "ModelError", True),
        (says("", refusal="I will not"), "Refused", False),
        (says("", finish="content_filter"), "Refused", False),
        (Reply({"error": "all busy"}), "ModelError", True),
        (Reply(b"{not json", headers={"Content-Type": "application/json"}), "ModelError", True),
        (Reply(b"<html>hello</html>", headers={"Content-Type": "text/html"}), "ModelError", True),
        (Reply(b"{}", cut=0), "ConnectionFailed", True),
        (Reply(b'{"id": "c1"}', cut=5), "ConnectionFailed", True),
    ],
)
def test_errors(reply: Reply, error: str, retryable: bool) -> None:
    with serving([reply]) as server:
        caught = failure(server, {"max_retries": 0})
    assert (caught.error, caught.retryable) == (error, retryable)
    if error == "RateLimited" and retryable:
        assert caught.retry_after == 9


def test_the_node_ends_when_its_time_is_over() -> None:
    def slow(_asked: Asked) -> Reply:
        time.sleep(1)
        return says("late")

    with serving(slow) as server:
        started = time.monotonic()
        assert failure(server, timeout_seconds=0.3).error == "Timeout"
    assert time.monotonic() - started < 10


def test_connections_stay_warm_between_calls() -> None:
    async def three(server: Server) -> None:
        node_type = get("llm_chat")
        assert isinstance(node_type, Effect)
        for _ in range(3):
            await node_type.execute(made(server))

    with serving([says("x")]) as server:
        asyncio.run(three(server))
    assert (len(server.asked), server.connections) == (3, 1)


def test_nobody_listening() -> None:
    with serving([says("x")]) as server:
        pass
    assert failure(server, {"max_retries": 0}).error == "ConnectionFailed"


def test_bad_configs() -> None:
    assert problems("llm_chat", {"response_schema": {"type": "nonsense"}}) == ["config.response_schema.type"]
    assert problems("llm_chat", {"response_schema": {"$ref": "http://127.0.0.1/s"}}) == ["config.response_schema"]
    bad = {"tools": [{"name": "a", "parameters": {"type": 5}}]}
    assert problems("llm_chat", bad) == ["config.tools.0.parameters.type"]
    assert problems("llm_chat", {"tool_choice": "a"}) == ["config.tool_choice"]
    assert problems("llm_chat", {"tools": [{"name": "a"}], "tool_choice": "a"}) == []
