"""model_router over scripted endpoints: three providers, each in its own shape."""

from __future__ import annotations

import time
from typing import Any

import pytest

from shared.nodes.ai._router import estimate
from shared.nodes.base import Call, NodeError
from tests.shared.nodes.calls import call, problems, run
from tests.shared.nodes.http_server import Asked, Reply, Server, serving
from tests.shared.nodes.models import (
    FITS,
    GOOD,
    KEY,
    SCHEMA,
    anthropic_says,
    bedrock_says,
    by_model,
    openai_says,
    outside,
)
from tests.shared.nodes.test_llm_chat import fails

SMALL = {"name": "small", "model": "s", "credential": "openai", "input_price": 1, "output_price": 2}
LARGE = {"name": "large", "model": "l", "credential": "openai", "input_price": 10, "output_price": 20}
HUGE = {"name": "huge", "model": "h", "credential": "openai", "input_price": 100, "output_price": 200}
THREE = [SMALL, LARGE, HUGE]


def made(server: Server, config: dict[str, Any], timeout_seconds: float = 20, **inputs: Any) -> Call:
    filled = {"models": THREE, "max_retries": 0, **config}
    given = {"prompt": "Hello", **inputs}
    return call("model_router", filled, given, world=outside(server), timeout_seconds=timeout_seconds)


def route(server: Server, config: dict[str, Any], **inputs: Any) -> dict[str, Any]:
    return run(made(server, config, **inputs), "model_router")


def all_say(**replies: Reply) -> Any:
    usual = {name: openai_says(f"{name} says") for name in ("s", "l", "h")}
    return by_model({**usual, **replies})


RULES = [
    {"when": "criteria.hard", "model": "large", "because": "it is hard"},
    {"when": '$contains(prompt, "law")', "model": "huge"},
    {"when": "tokens > 1000", "model": "huge"},
]


@pytest.mark.parametrize(
    ("inputs", "model", "reason"),
    [
        ({"criteria": {"hard": True}}, "large", "rule 1 holds: it is hard"),
        ({"prompt": "Is it law?"}, "huge", 'rule 2 holds: $contains(prompt, "law")'),
        ({"prompt": "x " * 4000}, "huge", "rule 3 holds: tokens > 1000"),
        ({}, "small", "no rule holds: the first of the models"),
    ],
)
def test_by_rules(inputs: dict[str, Any], model: str, reason: str) -> None:
    with serving(all_say()) as server:
        answer = route(server, {"rules": RULES, "system": "Be kind."}, **inputs)
    assert (answer["model"], answer["response"], answer["reason"]) == (model, f"{model[0]} says", reason)
    assert len(server.asked) == 1
    assert server.asked[0].json["messages"][0] == {"role": "system", "content": "Be kind."}


def test_by_cost() -> None:
    with serving(all_say()) as server:
        asking = made(server, {"strategy": "cheapest", "models": THREE[::-1]})
        answer = run(asking, "model_router")
        assert answer["model"] == "small"
        assert "cheapest" in answer["reason"]
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        assert answer["usage"] == {**usage, "models": {"small": usage}, "cost": pytest.approx(20e-6)}
        assert asking.usage == answer["usage"]
        with pytest.raises(NodeError) as caught:
            route(server, {"strategy": "cheapest"}, criteria={"max_cost": 1e-9})
    assert (caught.value.error, caught.value.retryable) == ("NoModelFits", False)


@pytest.mark.parametrize("strategy", ["rules", "cheapest"])
def test_models_without_room_or_tags_are_passed_over(strategy: str) -> None:
    models = [
        {**SMALL, "context_window": 50, "max_tokens": 40},
        {**LARGE, "context_window": 10_000},
        {**HUGE, "tags": ["law", "german"]},
    ]
    rules = [{"when": "true", "model": "small"}]
    config = {"models": models, "strategy": strategy, "rules": rules}
    with serving(all_say()) as server:
        assert route(server, config, prompt="hi")["model"] == "small"
        long = route(server, config, prompt="word " * 100)
        assert long["model"] == "large"
        assert strategy == "cheapest" or "small does not fit" in long["reason"]
        assert route(server, config, prompt="hi", criteria={"tags": ["law"]})["model"] == "huge"
        with pytest.raises(NodeError) as caught:
            route(server, config, criteria={"tags": ["french"]})
        assert caught.value.error == "NoModelFits"
        with pytest.raises(NodeError) as caught:
            route(server, {**config, "models": models[:1]}, prompt="word " * 100)
    assert caught.value.error == "ContextLengthExceeded"


def test_by_a_classifier() -> None:
    choice = openai_says('{"model": "large", "reason": "needs thought"}')
    config = {"strategy": "classifier", "classifier": "small", "models": [{**SMALL, "description": "quick"}, LARGE]}
    with serving(all_say(s=choice)) as server:
        answer = route(server, config)
    assert (answer["model"], answer["response"]) == ("large", "l says")
    assert answer["reason"] == "small chose it: needs thought"
    assert answer["usage"]["total_tokens"] == 30  # the choice is paid for as well
    assert set(answer["usage"]["models"]) == {"small", "large"}
    question = server.asked[0].json
    assert "- small: quick" in question["messages"][0]["content"]
    assert question["response_format"]["json_schema"]["schema"]["properties"]["model"] == {"enum": ["small", "large"]}


def test_a_classifier_that_fails_leaves_the_order() -> None:
    config = {"strategy": "classifier", "classifier": "huge"}
    with serving(all_say(h=fails(500))) as server:
        answer = route(server, config)
    assert (answer["model"], "classifier failed (ModelError)" in answer["reason"]) == ("small", True)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (fails(500), "ModelError"),
        (fails(429), "RateLimited"),
        (fails(401, f"bad {KEY}"), "AuthenticationFailed"),
        (fails(404), "ModelNotFound"),
        (fails(400, "This model's maximum context length is 5 tokens"), "ContextLengthExceeded"),
        (fails(400, "temperature is not supported"), "InvalidInput"),
        (Reply(b"", cut=0), "ConnectionFailed"),
        (Reply(b"{broken", headers={"Content-Type": "application/json"}), "ModelError"),
    ],
)
def test_the_next_model_answers_when_one_fails(reply: Reply, error: str) -> None:
    with serving(all_say(s=reply)) as server:
        answer = route(server, {})
        assert answer["model"] == "large"
        assert answer["reason"].endswith(f"; small failed ({error}); large is next")
        with pytest.raises(NodeError) as caught:
            route(server, {"fall_over": False})
    assert caught.value.error == error
    assert KEY not in caught.value.message + answer["reason"]


def test_a_model_that_takes_too_long_is_passed_over() -> None:
    def slow(_asked: Asked) -> Reply:
        time.sleep(1)
        return openai_says("late")

    with serving(by_model({"s": slow, "l": openai_says("l says")})) as server:
        answer = route(server, {"model_timeout_seconds": 0.2})
    assert (answer["model"], "small failed (Timeout)" in answer["reason"]) == ("large", True)


def test_a_refusal_is_an_answer_unless_the_config_says_otherwise() -> None:
    with serving(all_say(s=openai_says("", finish="content_filter"))) as server:
        asking = made(server, {})
        with pytest.raises(NodeError) as caught:
            run(asking, "model_router")
        assert (caught.value.error, caught.value.retryable, len(server.asked)) == ("Refused", False, 1)
        assert asking.usage["total_tokens"] == 15
        answer = route(server, {"fall_over_on_refusal": True})
    assert answer["model"] == "large"
    assert answer["usage"]["total_tokens"] == 30


def test_all_models_fail() -> None:
    with serving(by_model({"s": fails(500), "l": fails(429, Retry_After="7"), "h": fails(401)})) as server:
        with pytest.raises(NodeError) as caught:
            route(server, {})
        assert [a.json["model"] for a in server.asked] == ["s", "l", "h"]
    error = caught.value
    assert (error.error, error.retryable, error.retry_after) == ("AllModelsFailed", True, 7)
    assert "small: ModelError" in error.message
    assert "huge: AuthenticationFailed" in error.message
    with serving([fails(401)]) as server, pytest.raises(NodeError) as caught:
        route(server, {})
    assert not caught.value.retryable


def test_over_three_providers() -> None:
    models = [
        {"name": "a", "model": "a", "provider": "anthropic", "credential": "anthropic"},
        {"name": "b", "model": "b", "provider": "bedrock", "credential": "aws", "max_tokens": 9},
        {"name": "o", "model": "o", "credential": "openai", "temperature": 0.5},
    ]

    def answer(asked: Asked) -> Reply:
        if asked.path == "/v1/messages":
            return anthropic_says("from anthropic")
        return bedrock_says("from bedrock") if asked.path.endswith("/converse") else openai_says("from openai")

    with serving(answer) as server:
        for name, text in (("a", "from anthropic"), ("b", "from bedrock"), ("o", "from openai")):
            found = route(server, {"models": models, "rules": [{"when": "true", "model": name}]})
            assert (found["model"], found["response"]) == (name, text)
    assert server.asked[1].json["inferenceConfig"] == {"maxTokens": 9}
    assert server.asked[2].json["temperature"] == 0.5


def test_an_answer_that_fits_a_schema() -> None:
    with serving(all_say(s=openai_says("{"), l=openai_says(GOOD))) as server:
        answer = route(server, {"response_schema": SCHEMA, "repair_attempts": 0})
    assert (answer["model"], answer["json"]) == ("large", FITS)  # one that cannot keep to it has failed


@pytest.mark.parametrize(
    ("config", "inputs", "error"),
    [
        ({}, {"prompt": None}, "InvalidInput"),
        ({}, {"prompt": " "}, "InvalidInput"),
        ({}, {"prompt": ["a"]}, "InvalidInput"),
        ({}, {"criteria": "cheap"}, "InvalidInput"),
        ({"rules": [{"when": "$error('x')", "model": "small"}]}, {}, "ExpressionError"),
        ({"models": [{**SMALL, "credential": "nowhere"}]}, {}, "CredentialNotFound"),
        ({"models": [{**SMALL, "credential": "other"}]}, {}, "WrongCredential"),
        ({"models": [{"model": "x"}]}, {}, "NotConfigured"),
    ],
)
def test_bad_inputs(config: dict[str, Any], inputs: dict[str, Any], error: str) -> None:
    with serving(all_say()) as server, pytest.raises(NodeError) as caught:
        route(server, config, **inputs)
    assert (caught.value.error, server.asked) == (error, [])


def test_bad_configs() -> None:
    def wrong(**config: Any) -> list[str]:
        return problems("model_router", {"models": THREE, **config})

    assert wrong(models=[SMALL, SMALL]) == ["config.models.1.name"]
    assert wrong(models=[{"model": "x", "provider": "anthropic"}]) == ["config.models.0.credential"]
    assert wrong(rules=[{"when": "true", "model": "nobody"}]) == ["config.rules.0.model"]
    assert wrong(strategy="classifier") == ["config.classifier"]
    assert wrong(strategy="classifier", classifier="nobody") == ["config.classifier"]
    assert wrong(response_schema={"type": "nonsense"}) == ["config.response_schema.type"]
    assert wrong() == []


def test_texts_that_are_not_latin_have_more_tokens() -> None:
    assert estimate("") == 1
    assert estimate("word " * 80) == 101
    assert estimate("語" * 100) == 101
