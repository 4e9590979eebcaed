"""The scripted model: deterministic, named as scripted, and true to the schema that is asked for."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from infrastructure.local.models import application, example

RULES = [
    {"match": r"order (\d+)", "reply": r"Order \1 is on its way."},
    {"match": "classify", "reply": {"label": "refund", "score": 0.9}},
    {"match": "busy", "reply": "Now I can.", "refuse": {"times": 2, "status": 429, "retry_after": 3}},
]


@pytest.fixture
def model() -> TestClient:
    return TestClient(application(RULES))


def ask(model: TestClient, text: str, **more: Any) -> Any:
    messages = [{"role": "system", "content": "order 1"}, {"role": "user", "content": text}]
    return model.post("/v1/chat/completions", json={"model": "gpt-x", "messages": messages, **more})


def content(model: TestClient, text: str, **more: Any) -> Any:
    return ask(model, text, **more).json()["choices"][0]["message"]["content"]


def as_schema(schema: dict[str, Any]) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}}


def test_an_answer_says_that_it_is_scripted(model: TestClient) -> None:
    answer = ask(model, "order 7 please").json()
    assert answer["model"] == "scripted"
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]


def test_the_first_rule_that_matches_the_last_user_message_answers(model: TestClient) -> None:
    assert content(model, "Where is ORDER 7?") == "Order 7 is on its way."
    assert content(model, "hello") == "[scripted] You said: hello"


def test_a_rule_may_refuse_first(model: TestClient) -> None:
    statuses = [ask(model, "busy?").status_code for _ in range(3)]
    assert statuses == [429, 429, 200]
    assert ask(model, "busy again?").headers["retry-after"] == "3"


def test_the_calls_can_be_counted(model: TestClient) -> None:
    ask(model, "busy")
    ask(model, "hello")
    assert [(c["text"], c["status"]) for c in model.get("/calls").json()] == [("busy", 429), ("hello", 200)]


def test_json_fits_the_schema_and_takes_the_rules_values(model: TestClient) -> None:
    schema = {
        "type": "object",
        "properties": {
            "label": {"enum": ["refund", "other"]},
            "score": {"type": "number", "minimum": 0, "maximum": 1},
            "reason": {"type": "string", "minLength": 12},
            "note": {"type": "string"},
        },
        "required": ["label", "score", "reason"],
    }
    first = json.loads(content(model, "classify this", **as_schema(schema)))
    assert (first["label"], first["score"], len(first["reason"])) == ("refund", 0.9, 12)
    assert "note" not in first
    assert first == json.loads(content(model, "classify this", **as_schema(schema)))


def test_a_json_object_is_json(model: TestClient) -> None:
    answer = content(model, "order 7", response_format={"type": "json_object"})
    assert json.loads(answer) == {"reply": "Order 7 is on its way."}


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        ({"$ref": "#/$defs/a", "$defs": {"a": {"const": 3}}}, 3),
        ({"type": "array", "minItems": 2, "items": {"type": "boolean"}}, [True, True]),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
        ({"type": ["integer", "null"], "exclusiveMinimum": 4}, 5),
        ({"enum": ["x", "y"]}, "x"),
    ],
)
def test_the_smallest_example(schema: dict[str, Any], fits: Any) -> None:
    assert example(schema, schema, None) == fits


def test_what_it_cannot_do_it_refuses(model: TestClient) -> None:
    assert ask(model, "hello", stream=True).status_code == 400
    assert ask(model, "hello", **as_schema({"type": "string", "pattern": "^never$"})).status_code == 400


def test_embeddings_are_near_where_texts_share_words(model: TestClient) -> None:
    texts = ["the red bicycle", "a red Bicycle", "something else"]
    answer = model.post("/v1/embeddings", json={"model": "any", "input": texts, "dimensions": 256}).json()
    one, near, far = [entry["embedding"] for entry in answer["data"]]
    assert (len(one), answer["usage"]["prompt_tokens"]) == (256, 8)
    assert sum(a * b for a, b in zip(one, near, strict=True)) > 0.6
    assert sum(a * b for a, b in zip(one, far, strict=True)) < 0.2
    [alone] = model.post("/v1/embeddings", json={"model": "any", "input": "text"}).json()["data"]
    assert sum(n * n for n in alone["embedding"]) == pytest.approx(1)
    assert len(alone["embedding"]) == 64
