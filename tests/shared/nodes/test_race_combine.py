"""race_combine over scripted endpoints."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from shared.nodes.base import Call, NodeError
from tests.shared.nodes.calls import Outside, call, problems, run
from tests.shared.nodes.http_server import Asked, Reply, Server, serving
from tests.shared.nodes.models import KEY, anthropic_says, bedrock_says, by_model, openai_says, outside
from tests.shared.nodes.test_llm_chat import fails

TWO = [{"name": name, "model": name, "credential": "openai"} for name in ("a", "b")]
THREE = [*TWO, {"name": "c", "model": "c", "credential": "openai"}]


def made(server: Server, config: dict[str, Any], timeout_seconds: float = 20, **inputs: Any) -> Call:
    filled = {"models": TWO, "max_retries": 0, **config}
    given = {"messages": "Hello", **inputs}
    return call("race_combine", filled, given, world=outside(server), timeout_seconds=timeout_seconds)


def race(server: Server, config: dict[str, Any], **inputs: Any) -> dict[str, Any]:
    return run(made(server, config, **inputs), "race_combine")


def waiting(over: threading.Event, reply: Reply) -> Any:
    def answer(_asked: Asked) -> Reply:
        over.wait(10)
        return reply

    return answer


def test_the_first_answer_wins_and_the_others_are_stopped() -> None:
    over = threading.Event()
    with serving(by_model({"a": waiting(over, openai_says("late")), "b": openai_says("quick")})) as server:
        started = time.monotonic()
        asking = made(server, {"mode": "first"})
        answer = run(asking, "race_combine")
        assert time.monotonic() - started < 8
        over.set()
    assert answer["combined"] == "quick"
    late, quick = answer["responses"]
    assert (quick["model"], quick["response"], quick["error"]) == ("b", "quick", None)
    assert late["error"] == {"error": "Cancelled", "message": "another model was quicker"}
    assert late["response"] is None
    assert answer["usage"]["cancelled"] == ["a"]
    assert answer["usage"]["total_tokens"] == 15
    assert asking.usage == answer["usage"]


def test_a_failure_is_not_the_first_answer() -> None:
    busy = [fails(503, Retry_After_Ms="500"), openai_says("good")]  # so the other has failed long before

    def later(_asked: Asked) -> Reply:
        return busy.pop(0)

    with serving(by_model({"a": fails(401, f"bad {KEY}"), "b": later})) as server:
        answer = race(server, {"mode": "first", "max_retries": 1})
    assert answer["combined"] == "good"
    assert answer["responses"][0]["error"]["error"] == "AuthenticationFailed"
    assert KEY not in json.dumps(answer)
    assert answer["usage"]["cancelled"] == []


def test_all_answers_in_the_models_order_at_once() -> None:
    both = threading.Barrier(2, timeout=10)

    def answer(asked: Asked) -> Reply:
        both.wait()  # each waits for the other: one after the other would never end
        return openai_says(f"{asked.json['model']} says")

    prices = [{**TWO[0], "input_price": 1, "output_price": 2}, TWO[1]]
    with serving(answer) as server:
        found = race(server, {"mode": "all", "models": prices, "system": "Be kind."})
    assert [r["response"] for r in found["responses"]] == ["a says", "b says"]
    assert found["combined"] is None
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    assert found["responses"][0]["usage"] == usage
    assert found["usage"]["models"] == {"a": usage, "b": usage}
    assert found["usage"]["total_tokens"] == 30
    assert found["usage"]["cost"] == pytest.approx(20e-6)
    assert server.asked[0].json["messages"][0] == {"role": "system", "content": "Be kind."}


def test_an_answer_that_is_cut_off_says_so() -> None:
    answers: dict[str, Any] = {"a": openai_says("half", finish="length"), "b": openai_says("whole")}
    with serving(by_model(answers)) as server:
        asking = made(server, {"mode": "all"})
        answer = run(asking, "race_combine")
    assert [r["usage"].get("finish_reason") for r in answer["responses"]] == ["length", None]
    assert [m.get("finish_reason") for m in answer["usage"]["models"].values()] == ["length", None]
    assert isinstance(asking.world, Outside)
    assert [line for _, line in asking.world.lines if "the answer of a " in line] != []


def test_answers_are_combined_by_a_model() -> None:
    def combining(asked: Asked) -> Reply:
        told = json.dumps(asked.json["messages"])
        return openai_says("both" if "Combine" in told or "Vote." in told else "b says")

    answers = {"a": openai_says("a says"), "b": combining, "c": fails(500)}
    config = {"mode": "combined", "models": THREE, "combiner": "b"}
    messages = ["One?", {"role": "user", "content": [{"type": "text", "text": "Two?"}]}]
    with serving(by_model(answers)) as server:
        found = race(server, config, messages=messages)
        assert race(server, {**config, "instruction": "Vote."})["combined"] == "both"
    assert found["combined"] == "both"
    assert [r["response"] for r in found["responses"]] == ["a says", "b says", None]
    assert found["responses"][2]["error"]["error"] == "ModelError"
    assert found["usage"]["total_tokens"] == 45  # the combining is paid for as well
    assert found["usage"]["models"]["b"]["total_tokens"] == 30
    told = json.loads(server.asked[3].json["messages"][1]["content"])
    assert told["conversation"] == [{"role": "user", "content": "One?"}, {"role": "user", "content": "Two?"}]
    assert told["answers"] == [{"model": "a", "answer": "a says"}, {"model": "b", "answer": "b says"}]


def test_a_single_answer_needs_no_combining() -> None:
    with serving(by_model({"a": fails(500), "b": openai_says("alone")})) as server:
        assert race(server, {"mode": "combined"})["combined"] == "alone"
    assert len(server.asked) == 2


def test_a_combining_model_that_fails() -> None:
    asked_before: list[str] = []

    def answer(asked: Asked) -> Reply:
        asked_before.append(asked.json["model"])
        return fails(429, Retry_After="4") if len(asked_before) > 2 else openai_says("x")

    with serving(answer) as server:
        asking = made(server, {"mode": "combined"})
        with pytest.raises(NodeError) as caught:
            run(asking, "race_combine")
    assert (caught.value.error, caught.value.retry_after) == ("RateLimited", 4)
    assert asking.usage["total_tokens"] == 30


def test_too_few_answers() -> None:
    with serving(by_model({"a": fails(500), "b": openai_says("x"), "c": fails(401)})) as server:
        with pytest.raises(NodeError) as caught:
            race(server, {"mode": "all", "models": THREE, "at_least": 2})
        assert race(server, {"mode": "all", "models": THREE})["responses"][1]["response"] == "x"
    assert (caught.value.error, caught.value.retryable) == ("AllModelsFailed", True)
    assert "a: ModelError" in caught.value.message


@pytest.mark.parametrize("mode", ["first", "all", "combined"])
def test_nobody_answers(mode: str) -> None:
    with serving([fails(401, f"bad {KEY}")]) as server, pytest.raises(NodeError) as caught:
        race(server, {"mode": mode})
    assert (caught.value.error, caught.value.retryable) == ("AllModelsFailed", False)
    assert KEY not in caught.value.message


def test_a_slow_model_counts_as_failed() -> None:
    over = threading.Event()
    with serving(by_model({"a": waiting(over, openai_says("late")), "b": openai_says("quick")})) as server:
        answer = race(server, {"mode": "all", "model_timeout_seconds": 0.3})
        over.set()
    assert [r["error"] and r["error"]["error"] for r in answer["responses"]] == ["Timeout", None]


def test_over_three_providers() -> None:
    models = [
        {"model": "x", "provider": "anthropic", "credential": "anthropic"},
        {"model": "y", "provider": "bedrock", "credential": "aws"},
        {"model": "z", "credential": "openai"},
    ]

    def answer(asked: Asked) -> Reply:
        if asked.path == "/v1/messages":
            return anthropic_says("from anthropic")
        return bedrock_says("from bedrock") if asked.path.endswith("/converse") else openai_says("from openai")

    with serving(answer) as server:
        found = race(server, {"mode": "all", "models": models})
    assert [r["response"] for r in found["responses"]] == ["from anthropic", "from bedrock", "from openai"]
    assert found["usage"]["total_tokens"] == 45


@pytest.mark.parametrize(
    ("config", "inputs", "error"),
    [
        ({}, {"messages": []}, "InvalidInput"),
        ({}, {"messages": 5}, "InvalidInput"),
        ({}, {"messages": [{"role": "wizard", "content": "x"}]}, "InvalidInput"),
        ({"models": [{**m, "credential": "nowhere"} for m in TWO]}, {}, "AllModelsFailed"),
    ],
)
def test_bad_inputs(config: dict[str, Any], inputs: dict[str, Any], error: str) -> None:
    with serving([openai_says("x")]) as server, pytest.raises(NodeError) as caught:
        race(server, config, **inputs)
    assert (caught.value.error, caught.value.retryable, server.asked) == (error, False, [])


def test_bad_configs() -> None:
    assert problems("race_combine", {"models": [TWO[0], TWO[0]]}) == ["config.models.1.name"]
    assert problems("race_combine", {"models": TWO, "combiner": "nobody"}) == ["config.combiner"]
    assert problems("race_combine", {"models": TWO, "at_least": 3}) == ["config.at_least"]
