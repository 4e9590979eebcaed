"""Answers of model providers in their own shapes, for scripted endpoints."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.shared.nodes.calls import Keyring, Outside
from tests.shared.nodes.http_server import Asked, Reply, Server

KEY = "sk-test-secret-1234"
TOOL = {"name": "look_up", "description": "finds", "parameters": {"type": "object", "properties": {}}}
SCHEMA = {
    "type": "object",
    "properties": {"urgent": {"type": "boolean"}, "score": {"type": "integer", "maximum": 10}},
    "required": ["urgent", "score"],
    "additionalProperties": False,
}
GOOD = '{"urgent": true, "score": 3}'
FITS = {"urgent": True, "score": 3}


def outside(server: Server, **more: Any) -> Outside:
    """A world whose platform endpoint and whose credentials lead to that server."""
    values: dict[str, tuple[str, Mapping[str, Any]]] = {
        "openai": ("openai", {"base_url": f"{server.url}/v1", "api_key": KEY}),
        "anthropic": ("anthropic", {"base_url": server.url, "api_key": KEY}),
        "aws": (
            "aws",
            {
                "access_key_id": "AKIATENANT",
                "secret_access_key": KEY,
                "region": "eu-central-1",
                "endpoint_url": server.url,
            },
        ),
        "other": ("bearer", {"token": KEY}),
    }
    world = Outside(credentials=Keyring(values), allowed_hosts=frozenset({server.host}))
    for name, value in more.items():
        setattr(world, name, value)
    return world


def openai_says(content: str | None, tool_calls: Any = None, finish: str = "stop", model: str = "m-served") -> Reply:
    message = {"role": "assistant", "content": content, **({"tool_calls": tool_calls} if tool_calls else {})}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    return Reply(
        {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": choices, "usage": usage}
    )


def anthropic_says(*blocks: Mapping[str, Any] | str, stop: str = "end_turn", **usage: int) -> Reply:
    content = [{"type": "text", "text": b} if isinstance(b, str) else b for b in blocks]
    counted = {"input_tokens": 10, "output_tokens": 5, **usage}
    body = {"id": "m", "type": "message", "role": "assistant", "model": "m-served", "content": content}
    return Reply({**body, "stop_reason": stop, "stop_sequence": None, "usage": counted})


def anthropic_fails(status: int, message: str = "no", kind: str = "x", **headers: str) -> Reply:
    error = {"type": "error", "error": {"type": kind, "message": message}}
    return Reply(error, status, {k.replace("_", "-"): v for k, v in headers.items()})


def bedrock_says(*blocks: Mapping[str, Any] | str, stop: str = "end_turn") -> Reply:
    content = [{"text": b} if isinstance(b, str) else b for b in blocks]
    usage = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
    message = {"role": "assistant", "content": content}
    return Reply({"output": {"message": message}, "stopReason": stop, "usage": usage, "metrics": {"latencyMs": 1}})


def bedrock_fails(status: int, code: str, message: str = "no", **headers: str) -> Reply:
    given = {k.replace("_", "-"): v for k, v in headers.items()}
    return Reply({"message": message}, status, {"x-amzn-ErrorType": code, **given})


def by_model(answers: Mapping[str, Reply | Callable[[Asked], Reply]]) -> Callable[[Asked], Reply]:
    """OpenAI-shaped answers by the model that is asked."""

    def answer(asked: Asked) -> Reply:
        found = answers[json.loads(asked.body)["model"]]
        return found if isinstance(found, Reply) else found(asked)

    return answer
