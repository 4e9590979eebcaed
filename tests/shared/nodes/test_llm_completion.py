"""llm_completion against a scripted endpoint over real HTTP."""

from __future__ import annotations

import time
from typing import Any

import pytest

from shared.nodes.base import Call, NodeError
from tests.shared.nodes.calls import Outside, call, run
from tests.shared.nodes.http_server import Asked, Reply, Server, serving
from tests.shared.nodes.models import KEY, openai_says, outside
from tests.shared.nodes.test_llm_chat import fails

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def continued(text: str, finish: str = "stop") -> Reply:
    choices = [{"index": 0, "text": text, "finish_reason": finish, "logprobs": None}]
    body = {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": choices, "usage": USAGE}
    return Reply(body)


def made(server: Server, prompt: Any = "Once", timeout_seconds: float = 20, **config: Any) -> Call:
    filled = {"model": "m-1", "credential": "openai", **config}
    return call("llm_completion", filled, {"prompt": prompt}, world=outside(server), timeout_seconds=timeout_seconds)


def test_over_chat() -> None:
    with serving([openai_says("upon a time")]) as server:
        asking = made(server, system="Tell tales.", max_tokens=9)
        answer = run(asking, "llm_completion")
    assert answer["completion"] == "upon a time"
    assert asking.usage == answer["usage"] == {**answer["usage"], "total_tokens": 15}
    sent = server.asked[0].json
    assert [m["content"] for m in sent["messages"]] == ["Tell tales.", "Once"]
    assert sent["max_tokens"] == 9


def test_over_completions() -> None:
    with serving([continued(" upon a time")]) as server:
        asking = made(server, api="completions", max_tokens=9, stop=["."])
        assert run(asking, "llm_completion") == {"completion": " upon a time", "usage": {**USAGE, "model": "m-1"}}
    assert asking.usage["total_tokens"] == 5
    assert server.asked[0].path == "/v1/completions"
    assert server.asked[0].json == {"model": "m-1", "prompt": "Once", "max_tokens": 9, "stop": ["."]}


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (fails(401, f"bad key {KEY}"), "AuthenticationFailed"),
        (fails(404), "ModelNotFound"),
        (fails(429), "RateLimited"),
        (fails(500), "ModelError"),
        (Reply(b"{broken", headers={"Content-Type": "application/json"}), "ModelError"),
        (Reply(b"<html>", headers={"Content-Type": "text/html"}), "ModelError"),
        (Reply({"choices": []}), "ModelError"),
        (Reply(b"", cut=0), "ConnectionFailed"),
    ],
)
def test_errors(api: str, reply: Reply, error: str) -> None:
    with serving([reply]) as server, pytest.raises(NodeError) as caught:
        run(made(server, api=api, max_retries=0), "llm_completion")
    assert caught.value.error == error
    assert KEY not in caught.value.message


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_a_completion_that_is_cut_off_says_so(api: str) -> None:
    reply = continued(" upon a", "length") if api == "completions" else openai_says(" upon a", finish="length")
    with serving([reply]) as server:
        asking = made(server, api=api)
        answer = run(asking, "llm_completion")
    assert (answer["completion"], answer["usage"]["finish_reason"]) == (" upon a", "length")
    assert asking.usage == answer["usage"]
    assert isinstance(asking.world, Outside)
    assert [level for level, _ in asking.world.lines] == ["warning"]


def test_a_refusal_is_paid_for() -> None:
    with serving([continued("", "content_filter")]) as server:
        asking = made(server, api="completions")
        with pytest.raises(NodeError) as caught:
            run(asking, "llm_completion")
    assert (caught.value.error, asking.usage["total_tokens"]) == ("Refused", 5)


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize(
    ("prompt", "config", "error"),
    [
        (None, {}, "InvalidInput"),
        ("", {}, "InvalidInput"),
        (["a"], {}, "InvalidInput"),
        ("a", {"model": ""}, "InvalidInput"),
        ("a", {"credential": "other"}, "WrongCredential"),
        ("a", {"credential": "nowhere"}, "CredentialNotFound"),
        ("a", {"credential": ""}, "NotConfigured"),
    ],
)
def test_bad_inputs(api: str, prompt: Any, config: dict[str, Any], error: str) -> None:
    with serving([openai_says("x")]) as server, pytest.raises(NodeError) as caught:
        run(made(server, prompt, api=api, **config), "llm_completion")
    assert (caught.value.error, server.asked) == (error, [])


def test_the_node_ends_when_its_time_is_over() -> None:
    def slow(_asked: Asked) -> Reply:
        time.sleep(0.5)
        return openai_says("late")

    with serving(slow) as server, pytest.raises(NodeError) as caught:
        run(made(server, timeout_seconds=0.2), "llm_completion")
    assert caught.value.error == "Timeout"
