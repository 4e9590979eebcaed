"""Anthropic's Messages API. Loads the anthropic SDK, so import it when needed."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, cast

import anthropic
from anthropic.types import Message as Said

from shared.nodes.ai import _parts
from shared.nodes.ai._models import (
    Answer,
    Link,
    Message,
    Request,
    read_tool_calls,
    refused,
    seconds,
    status_error,
    tool_call,
    usage,
)
from shared.nodes.ai._sdk import client_at, connection_error, reaching, said
from shared.nodes.base import NodeError

ANTHROPIC: Final = "https://api.anthropic.com"
_MAX_TOKENS: Final = 4096  # the API has no default of its own
_CUT: Final = ("max_tokens", "model_context_window_exceeded")


async def ask(link: Link, request: Request) -> Answer:
    """The model's next message. Raises NodeError."""
    if link.credential is None:
        raise NodeError("NotConfigured", "name a credential of the kind anthropic", retryable=False)
    url = str(link.credential.values.get("base_url") or ANTHROPIC)
    key = str(link.credential.values["api_key"])
    client = await client_at(
        "anthropic",
        url,
        link.world.allowed_hosts,
        lambda http: anthropic.AsyncAnthropic(base_url=url, api_key=key, http_client=http, open_telemetry=False),
    )
    client = client.with_options(max_retries=link.max_retries, timeout=link.timeout)
    try:
        with reaching():
            message = await client.messages.create(**cast(Any, _body(request)))
    except anthropic.APIError as error:
        raise _node_error(error, request) from None
    except (ValueError, TypeError) as error:
        raise NodeError("ModelError", f"the endpoint's answer cannot be read: {type(error).__name__}") from None
    return _answer(message, request.model)


def _body(request: Request) -> dict[str, Any]:
    system, rest = _parts.split_system(request.messages)
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": request.max_tokens or _MAX_TOKENS,
        "messages": _parts.merged({"role": _role(m), "content": list(_blocks(m))} for m in rest),
    }
    if system:
        body["system"] = system
    if request.stop:
        body["stop_sequences"] = list(request.stop)
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        choice = request.tool_choice
        if choice in ("auto", "none"):
            body["tool_choice"] = {"type": choice}
        elif choice:
            body["tool_choice"] = {"type": "any"} if choice == "required" else {"type": "tool", "name": choice}
    extra = dict(request.extra)
    if request.schema is not None:
        configured = extra.pop("output_config", {})
        body["output_config"] = {**configured, "format": {"type": "json_schema", "schema": dict(request.schema)}}
    if request.temperature is not None:
        extra["temperature"] = request.temperature  # the SDK has dropped it; older models and gateways know it
    return body | ({"extra_body": extra} if extra else {})


def _role(message: Message) -> str:
    return "assistant" if message.get("role") == "assistant" else "user"


def _blocks(message: Message) -> Iterator[Any]:
    kept = message.get("blocks") or {}
    if kept.get("provider") == "anthropic":
        yield from kept["content"]
        return
    if message.get("role") == "tool":
        content = [_block(part) for part in _parts.parts(message.get("content"))]
        yield {"type": "tool_result", "tool_use_id": message.get("tool_call_id"), "content": content}
        return
    yield from (_block(part) for part in _parts.parts(message.get("content")))
    for call_id, name, arguments in _parts.calls_of(message):
        yield {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def _block(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """A part in Anthropic's form; what is in that form already is left as it is."""
    if part.get("type") == "image_url":
        url = _parts.image_url(part)
        found = _parts.data_url(url)
        return {"type": "image", "source": _base64(*found) if found else {"type": "url", "url": url}}
    if part.get("type") == "file":
        name, kind, body = _parts.file_of(part)
        source = _base64(kind, body)
        if kind.startswith("text/"):
            source = {"type": "text", "media_type": "text/plain", "data": body.decode(errors="replace")}
        return {"type": "document", "title": name, "source": source}
    _parts.no_sound(part, "Anthropic")
    return part


def _base64(media_type: str, body: bytes) -> dict[str, str]:
    return {"type": "base64", "media_type": media_type, "data": base64.b64encode(body).decode()}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    described = {"description": tool["description"]} if tool.get("description") else {}
    return {"name": tool["name"], **described, "input_schema": tool.get("parameters") or {"type": "object"}}


def _answer(message: Said, model: str) -> Answer:
    content = getattr(message, "content", None)
    if not isinstance(content, list):
        raise NodeError("ModelError", "the endpoint answered without content")
    counted = getattr(message, "usage", None)
    parts = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    asked = sum(getattr(counted, name, None) or 0 for name in parts)
    used = usage(asked, getattr(counted, "output_tokens", None), message.model or model)
    if message.stop_reason == "refusal":
        raise refused(used)
    blocks = [block.model_dump(mode="json", exclude_none=True) for block in content]
    text = "".join(str(b.get("text") or "") for b in blocks if b.get("type") == "text")
    made: Message = {"role": "assistant", "content": text}
    calls = [tool_call(b.get("id"), b.get("name"), b.get("input") or {}) for b in blocks if b.get("type") == "tool_use"]
    if calls:
        made["tool_calls"] = calls
    if any(b.get("type") not in ("text", "tool_use") for b in blocks):
        made["blocks"] = {"provider": "anthropic", "content": blocks}
    finish: Literal["stop", "length", "tool_calls"] = "tool_calls" if calls else "stop"
    if message.stop_reason in _CUT:
        finish = "length"
    return Answer(made, text, read_tool_calls(made), used, finish)


def _node_error(error: anthropic.APIError, request: Request) -> NodeError:
    """The SDK's error in the node's words."""
    if isinstance(error, anthropic.APIStatusError):
        return status_error(
            error.status_code,
            said(error.body, error.message),
            request.model,
            retry_after=seconds(error.response.headers.get("retry-after", "")),
            schema=request.schema is not None,
        )
    if isinstance(error, anthropic.APIConnectionError):
        return connection_error(error, isinstance(error, anthropic.APITimeoutError))
    return NodeError("ModelError", "the endpoint's answer cannot be read")
