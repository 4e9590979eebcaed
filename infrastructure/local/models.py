"""A scripted stand-in for a language model: an OpenAI-compatible endpoint whose answers come from rules.

The libraries that do this (stubllm and mockllm on PyPI, aimock on npm) answer from fixtures only; none makes an answer
that fits the JSON schema of the request, which the demo needs. So these few lines do it, on Starlette and Hypercorn.

Every answer says `"model": "scripted"`. The rules are in models.json, first match wins:

    {"match": "refund (\\\\w+)",             a regular expression, searched in the last user message
     "reply": "About \\\\1: …",              text (with the groups of the match), or a value that becomes JSON
     "refuse": {"times": 1, "status": 429, "retry_after": 1}}    optional: what the first `times` such messages get

A request with a JSON schema gets JSON that fits it: the smallest example of the schema, with the rule's values where
their names are the schema's. `GET /calls` lists the requests so far, for tests that count them.

It has embeddings, too: vectors (of 64 numbers, or as many as are asked for) that are near where texts share words.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import signal
import sys
import threading
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hypercorn.asyncio import serve
from hypercorn.config import Config
from jsonschema import Draft202012Validator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

MODEL: Final = "scripted"
_DIMENSIONS: Final = 64
RULES: Final = Path(__file__).with_name("models.json")


@dataclass
class Script:
    """The rules, and what was asked so far."""

    rules: list[dict[str, Any]]
    refused: Counter[tuple[int, str]] = field(default_factory=Counter)
    calls: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: dict[str, Any]) -> JSONResponse:
        """The answer to one chat completion."""
        text = _last_user_message(request)
        index, rule, match = self._rule_for(text)
        refuse = rule.get("refuse")
        status = 200
        if refuse and self.refused[index, text] < refuse["times"]:
            self.refused[index, text] += 1
            status = refuse.get("status", 429)
        self.calls.append({"text": text, "status": status, "model": request.get("model")})
        if refuse and status != 200:
            return _problem(status, "scripted refusal", {"retry-after": str(refuse.get("retry_after", 1))})
        if request.get("stream"):
            return _problem(400, "the scripted model does not stream")
        wanted = request.get("response_format") or {}
        reply = rule["reply"]
        if wanted.get("type") == "json_schema":
            schema = wanted["json_schema"]["schema"]
            value = example(schema, schema, reply if isinstance(reply, dict) else {})
            wrong = next(Draft202012Validator(schema).iter_errors(value), None)
            if wrong is not None:
                return _problem(400, f"the scripted answer does not fit the schema: {wrong.message}")
            content = json.dumps(value)
        elif not isinstance(reply, str):
            content = json.dumps(reply)
        elif wanted.get("type") == "json_object":
            content = json.dumps({"reply": match.expand(reply)})
        else:
            content = match.expand(reply)
        return JSONResponse(_completion(request, content))

    def _rule_for(self, text: str) -> tuple[int, dict[str, Any], re.Match[str]]:
        for index, rule in enumerate(self.rules):
            match = re.search(rule["match"], text, re.IGNORECASE | re.DOTALL)
            if match:
                return index, rule, match
        everything = re.search(".*", text, re.DOTALL)
        assert everything is not None  # noqa: S101 - `.*` matches any text
        return -1, {"reply": r"[scripted] You said: \g<0>"}, everything


def _last_user_message(request: dict[str, Any]) -> str:
    for message in reversed(request.get("messages", [])):
        if message.get("role") == "user":
            content = message.get("content", "")
            return content if isinstance(content, str) else " ".join(p.get("text", "") for p in content)
    return ""


def _completion(request: dict[str, Any], content: str) -> dict[str, Any]:
    asked = sum(len(str(m.get("content", "")).split()) for m in request.get("messages", []))
    answered = len(content.split())
    return {
        "id": f"chatcmpl-scripted-{time.time_ns()}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        # Words, not tokens; but the same for the same text.
        "usage": {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered},
    }


def embedding(text: str, dimensions: int) -> list[float]:
    """A vector of length 1 that counts the text's words, each at a place of its own as far as there is room."""
    counts = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()):
        counts[zlib.crc32(word.encode()) % dimensions] += 1
    length = math.hypot(*counts) or 1.0
    return [count / length for count in counts]


def _problem(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    kind = "rate_limit_error" if status == 429 else "invalid_request_error"
    return JSONResponse({"error": {"message": message, "type": kind, "code": None}}, status, headers)


def example(schema: Any, root: Any, values: Any) -> Any:
    """The smallest value that fits a JSON schema, with `values` where they have a place in it."""
    if not isinstance(schema, dict):
        return values
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return example(target, root, values)
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return example(schema[choice][0], root, values)
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        given = values if isinstance(values, dict) else {}
        properties = schema.get("properties", {})
        names = [n for n in properties if n in given or n in schema.get("required", [])]
        return {n: example(properties[n], root, given.get(n)) for n in names}
    if values is not None and Draft202012Validator(schema).is_valid(values):
        return values
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "array":
        return [example(schema.get("items", {}), root, None)] * schema.get("minItems", 0)
    if kind in ("integer", "number"):
        return schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    plain: dict[str, Any] = {"boolean": True, "null": None, "string": MODEL.ljust(schema.get("minLength", 0), ".")}
    return plain[kind]


def application(rules: list[dict[str, Any]]) -> Starlette:
    """The server as an ASGI application."""
    script = Script(rules)

    async def completions(request: Request) -> JSONResponse:
        return script.answer(await request.json())

    async def embeddings(request: Request) -> JSONResponse:
        asked = await request.json()
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        vectors = [embedding(text, asked.get("dimensions") or _DIMENSIONS) for text in texts]
        data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
        words = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": words, "total_tokens": words}
        return JSONResponse({"object": "list", "model": MODEL, "data": data, "usage": usage})

    async def models(_request: Request) -> JSONResponse:
        return JSONResponse({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "local"}]})

    async def calls(_request: Request) -> JSONResponse:
        return JSONResponse(script.calls)

    return Starlette(
        routes=[
            Route("/v1/chat/completions", completions, methods=["POST"]),
            Route("/v1/embeddings", embeddings, methods=["POST"]),
            Route("/v1/models", models),
            Route("/calls", calls),
        ]
    )


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Serve on 127.0.0.1 at $PORT until SIGTERM, or until standard input closes."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    config = Config()
    config.bind = [f"127.0.0.1:{os.environ['PORT']}"]
    config.loglevel = "WARNING"
    asyncio.run(serve(application(json.loads(RULES.read_text())), config))  # type: ignore[arg-type] # Starlette is ASGI


if __name__ == "__main__":
    main()
