"""Models of three providers on loopback, each in its own shape, scripted by the model's name and by what is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.shared.nodes.http_server import Asked, Reply, Server, serving
from tests.shared.nodes.models import anthropic_says, bedrock_says, openai_says

MODEL_KEY = "models-hush-hush-key"


@contextmanager
def serving_models() -> Iterator[Server]:
    """A server where `down` always fails, `slow` is refused once, and the others say who they are."""
    busy = {"slow": 1}

    def answer(asked: Asked) -> Reply:
        if asked.path == "/v1/messages":
            return _checked(asked, anthropic_says(_text("anthropic", asked.json["messages"])))
        if asked.path.endswith("/converse"):
            return bedrock_says(_text("bedrock", asked.json["messages"]))
        model = asked.json["model"]
        if model == "down":
            return Reply({"error": {"message": "out of order"}}, 503)
        if busy.get(model):
            busy[model] -= 1
            return Reply({"error": {"message": "busy"}}, 429, {"Retry-After": "1"})
        if "response_format" in asked.json:
            return _checked(asked, openai_says('{"model": "careful", "reason": "it is about law"}'))
        return _checked(asked, openai_says(_text(model, asked.json["messages"])))

    with serving(answer) as server:
        yield server


def _text(name: str, messages: list[dict[str, Any]]) -> str:
    said = json.dumps(messages[-1]["content"])
    return "all agree" if "conversation" in said else f"{name} answers"


def _checked(asked: Asked, reply: Reply) -> Reply:
    """401 for who has not the key."""
    good = asked.headers.get("authorization") == f"Bearer {MODEL_KEY}"
    return reply if good else Reply({"error": {"message": f"bad key {asked.headers.get('authorization')}"}}, 401)
