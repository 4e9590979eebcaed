"""What is outside when a template of the library runs: a model that answers by script, embeddings, a JSON service."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests.servers.embeddings import by_words
from tests.shared.nodes.http_server import Asked, Reply, Server, serving
from tests.stepfunctions.agents import completion

# What a model says to whom asks for JSON, by a field of the schema.
STRUCTURED = {
    "headings": {"headings": ["Before", "After"]},
    "summary": {"summary": "Short.", "language": "English"},
    "category": {"category": "bug", "urgent": True},
    "model": {"model": "large", "reason": "it is hard"},
}


@contextmanager
def outside() -> Iterator[Server]:
    """The server: `/v1` is an OpenAI-compatible endpoint, everything else the JSON service."""
    with serving(_answer) as server:
        yield server


def _answer(asked: Asked) -> Reply:
    if asked.path == "/v1/embeddings":
        return Reply(_embedded(asked.json))
    if asked.path == "/v1/chat/completions":
        return Reply(_said(asked.json))
    if asked.path.endswith("/missing"):
        return Reply({"error": "no such thing"}, 404)
    return Reply({"path": asked.path})


def _embedded(body: dict[str, Any]) -> dict[str, Any]:
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    vectors: list[Any] = by_words(texts)
    if body.get("encoding_format") == "base64":
        vectors = [base64.b64encode(np.array(v, dtype="<f4").tobytes()).decode() for v in vectors]
    data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]
    used = {"prompt_tokens": 1, "total_tokens": 1}
    return {"object": "list", "model": body["model"], "data": data, "usage": used}


def _said(body: dict[str, Any]) -> dict[str, Any]:
    messages = body["messages"]
    results = [m["content"] for m in messages if m["role"] == "tool"]
    last = str(messages[-1]["content"])
    if "response_format" in body:
        fields = body["response_format"]["json_schema"]["schema"]["properties"]
        return completion(json.dumps(next(said for field, said in STRUCTURED.items() if field in fields)))
    if body.get("tools") and not results and re.search(r"\d", last):
        return completion([("calculate", {"expression": "6 * 7"})])
    if results:
        return completion(f"It is {results[-1]}.")
    return completion(f"{body['model']} read: {last[:200]}")
